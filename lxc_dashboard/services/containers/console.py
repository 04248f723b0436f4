"""A guest's terminal for a signed-in user. PVE decides who may open it and whether it shows a shell or a login prompt.

PVE has one terminal session for a guest, shares it among all viewers and leaves it open. So the last of our viewers logs
out; otherwise the next one would find another user's shell.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final
from uuid import uuid4

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import (
    ApiError,
    ConflictError,
    DashboardError,
    PrivilegeError,
    ProxmoxError,
    ServiceUnavailableError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.console import ConsoleSocket, open_console
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.codes import ContainerCode
from lxc_dashboard.services.jobs.engine.run import Guest

log = structlog.get_logger(__name__)

KEEP_ALIVE_EVERY_S: Final = 20.0
COUNTED_FOR_S: Final = 60.0
LOG_OUT_WITHIN_S: Final = 3.0
# Ctrl-U and Ctrl-D: clear the input line, then end the shell. A running program does not end.
LOG_OUT: Final = b"\x15\x04"
# Refusals, by PVE's message
_NO_PORT: Final = re.compile(r"unable to find free port", re.IGNORECASE)
_NOT_READY: Final = re.compile(r"waiting for port|connect to port", re.IGNORECASE)


async def find(rt: Runtime, session: Session, vmid: int) -> tuple[Guest, bool]:
    """The guest, and whether it runs (``status/current``). Raises ``NotFoundError``."""
    guest = await power.find(rt, session, vmid)
    client = await acting.client(rt, session)
    status = await client.lxc.status(guest.node, vmid)
    return guest, status.running


@asynccontextmanager
async def console(rt: Runtime, session: Session, vmid: int) -> AsyncIterator[ConsoleSocket]:
    """The guest's terminal, audited and kept alive within the block.

    Raises ``NotFoundError``, ``ConflictError`` (stopped guest), ``PrivilegeError``, ``ProxmoxError``.
    """
    guest, runs = await find(rt, session, vmid)
    if not runs:
        raise ConflictError(Message.of(ContainerCode.STOPPED, guest=str(guest)))
    client = await acting.client(rt, session)
    viewers = _Viewers(rt, session, vmid)
    try:
        await privileges.require(rt, session, f"/vms/{vmid}", privileges.CONSOLE_PRIVILEGE)
        async with AsyncExitStack() as opened:
            socket = await _open(opened, client, guest)
            await _audit(rt, session, guest, AuditResult.OK)
            await viewers.enter()
            keeping_alive = asyncio.create_task(_keep_alive(socket, viewers))
            try:
                yield socket
            finally:
                keeping_alive.cancel()
                await asyncio.gather(keeping_alive, return_exceptions=True)
                await _leave(socket, viewers)
    except PrivilegeError as error:
        await _audit(rt, session, guest, AuditResult.REFUSED, error.reason)
        raise


async def _open(opened: AsyncExitStack, client: ProxmoxClient, guest: Guest) -> ConsoleSocket:
    """Raises as ``open_console``, but a refusal of PVE as ``ProxmoxError`` with cause and remedy."""
    try:
        return await opened.enter_async_context(open_console(client, guest.node, guest.vmid))
    except ApiError as error:
        raise ProxmoxError(refused(guest, error), node=error.node, path=error.path) from error


def refused(guest: Guest, error: ApiError) -> Message:
    code = ContainerCode.CONSOLE_REFUSED
    if _NO_PORT.search(error.message):
        code = ContainerCode.CONSOLE_NO_PORT
    elif _NOT_READY.search(error.message):
        code = ContainerCode.CONSOLE_NOT_READY
    return Message.of(code, guest=str(guest), node=guest.node, said=error.reason)


class _Viewers:
    """The open consoles of one guest, counted across all processes."""

    def __init__(self, rt: Runtime, session: Session, vmid: int) -> None:
        self._bus = rt.bus
        self._key = f"console:{session.endpoint_id}:{vmid}"
        self._own = uuid4().hex

    async def enter(self) -> None:
        """Count this console for another ``COUNTED_FOR_S``."""
        try:
            await self._bus.set(f"{self._key}:{self._own}", b"1", ttl_s=COUNTED_FOR_S)
            await self._bus.add_member(self._key, self._own, ttl_s=COUNTED_FOR_S)
        except ServiceUnavailableError as error:
            log.info("console count unavailable", why=str(error))

    async def leave(self) -> bool:
        """Whether this was the last console. True if Redis does not answer, so that no shell stays open."""
        try:
            await self._bus.remove_member(self._key, self._own)
            await self._bus.delete(f"{self._key}:{self._own}")
            others = await self._bus.members(self._key)
            return not any([await self._bus.get(f"{self._key}:{other}") for other in others])
        except ServiceUnavailableError as error:
            log.info("console count unavailable", why=str(error))
            return True


async def _keep_alive(socket: ConsoleSocket, viewers: _Viewers) -> None:
    """Keep the connection alive: PVE closes a silent one."""
    while True:
        await asyncio.sleep(KEEP_ALIVE_EVERY_S)
        await socket.keep_alive()
        await viewers.enter()


async def _leave(socket: ConsoleSocket, viewers: _Viewers) -> None:
    if await viewers.leave():
        with suppress(DashboardError, TimeoutError):  # the connection has ended already
            async with asyncio.timeout(LOG_OUT_WITHIN_S):
                await socket.type(LOG_OUT)


async def _audit(
    rt: Runtime, session: Session, guest: Guest, result: AuditResult, cause: Message | None = None
) -> None:
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=session.userid,
            endpoint_name=session.endpoint_name,
            action="container.console",
            subject=str(guest),
            address=session.address,
            result=result,
            detail={"node": guest.node, **({"cause": cause.to_json()} if cause else {})},
        )
