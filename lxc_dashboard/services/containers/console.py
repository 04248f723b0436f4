"""A guest's terminal for a signed-in user, as PVE gives it: whether a shell or a login prompt, and who may have it, is PVE's to say.

PVE keeps one terminal session a guest, which all who look share, and leaves it open when they go. So whoever of us is the last
to leave logs it out, lest the next one finds somebody else's shell.
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
from lxc_dashboard.errors import ApiError, ConflictError, DashboardError, PrivilegeError, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.console import ConsoleSocket, open_console
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.codes import ContainerCode
from lxc_dashboard.services.jobs.run import Guest

log = structlog.get_logger(__name__)

KEEP_ALIVE_EVERY_S: Final = 20.0
COUNTED_FOR_S: Final = 60.0
LOG_OUT_WITHIN_S: Final = 3.0
# Clears what was typed and not sent, then ends the shell; a program that runs meanwhile is not ended by it.
LOG_OUT: Final = b"\x15\x04"
# What PVE says where it cannot open a terminal, why that is, and what to do about it.
_REFUSALS: Final = tuple(
    (re.compile(said, re.IGNORECASE), cause, remedy)
    for said, cause, remedy in (
        (
            r"unable to find free port",
            "all ports that node {node} has for consoles are in use",
            "Close consoles that nobody needs, in PVE's own pages too, then connect again",
        ),
        (
            r"waiting for port|connect to port",
            "its terminal did not get ready on node {node} in time",
            "Connect again in a moment; if that fails too, its Console task in PVE tells more",
        ),
    )
)


async def find(rt: Runtime, session: Session, vmid: int) -> tuple[Guest, bool]:
    """The guest as PVE knows it, and whether it runs by ``status/current``. Raises ``NotFoundError``."""
    guest = await power.find(rt, session, vmid)
    client = await acting.client(rt, session)
    status = await client.lxc.status(guest.node, vmid)
    return guest, status.running


@asynccontextmanager
async def console(rt: Runtime, session: Session, vmid: int) -> AsyncIterator[ConsoleSocket]:
    """The terminal, audited; kept alive until the block is left.

    Raises ``NotFoundError``, ``ConflictError`` (it does not run), ``PrivilegeError``, what PVE says.
    """
    guest, runs = await find(rt, session, vmid)
    if not runs:
        raise ConflictError(Message.of(ContainerCode.STOPPED, guest=str(guest)))
    client = await acting.client(rt, session)
    watchers = _Watchers(rt, session, vmid)
    try:
        await privileges.require(rt, session, f"/vms/{vmid}", privileges.CONSOLE_PRIVILEGE)
        async with AsyncExitStack() as opened:
            socket = await _open(opened, client, guest)
            await _audit(rt, session, guest, AuditResult.OK)
            await watchers.enter()
            beating = asyncio.create_task(_beat(socket, watchers))
            try:
                yield socket
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
                await _leave(socket, watchers)
    except PrivilegeError as error:
        await _audit(rt, session, guest, AuditResult.REFUSED, str(error))
        raise


async def _open(opened: AsyncExitStack, client: ProxmoxClient, guest: Guest) -> ConsoleSocket:
    """Raises what ``open_console`` does, a refusal of PVE with its cause and what to do about it."""
    try:
        return await opened.enter_async_context(open_console(client, guest.node, guest.vmid))
    except ApiError as error:
        raise ApiError(error.status, refused(guest, error.user_message), node=error.node, path=error.path) from error


def refused(guest: Guest, said: str) -> str:
    """Why there is no console, and what to do. ``said``: PVE's own words, which stand at the end."""
    for words, cause, remedy in _REFUSALS:
        if words.search(said):
            why, then = cause.format(node=guest.node), remedy.format(node=guest.node)
            return f"PVE opened no console for {guest}: {why}. {then}. PVE said: {said}"
    return f"PVE opened no console for {guest}: {said}. Its Console task in PVE on node {guest.node} tells more"


class _Watchers:
    """Our own windows on one guest's terminal, across all processes."""

    def __init__(self, rt: Runtime, session: Session, vmid: int) -> None:
        self._bus = rt.bus
        self._key = f"console:{session.endpoint_id}:{vmid}"
        self._own = uuid4().hex

    async def enter(self) -> None:
        """Also says that this one is still there."""
        try:
            await self._bus.set(f"{self._key}:{self._own}", b"1", ttl_s=COUNTED_FOR_S)
            await self._bus.add_member(self._key, self._own, ttl_s=COUNTED_FOR_S)
        except ServiceUnavailableError as error:
            log.info("console not counted", why=str(error))

    async def leave(self) -> bool:
        """Whether this was the last one. True also where that cannot be known: then nobody's shell stays open."""
        try:
            await self._bus.remove_member(self._key, self._own)
            await self._bus.delete(f"{self._key}:{self._own}")
            others = await self._bus.members(self._key)
            return not any([await self._bus.get(f"{self._key}:{other}") for other in others])
        except ServiceUnavailableError as error:
            log.info("console not counted", why=str(error))
            return True


async def _beat(socket: ConsoleSocket, watchers: _Watchers) -> None:
    """PVE drops a silent connection."""
    while True:
        await asyncio.sleep(KEEP_ALIVE_EVERY_S)
        await socket.keep_alive()
        await watchers.enter()


async def _leave(socket: ConsoleSocket, watchers: _Watchers) -> None:
    if await watchers.leave():
        with suppress(DashboardError, TimeoutError):  # the connection is gone: there is nothing left to log out of
            async with asyncio.timeout(LOG_OUT_WITHIN_S):
                await socket.type(LOG_OUT)


async def _audit(rt: Runtime, session: Session, guest: Guest, result: AuditResult, cause: str = "") -> None:
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=session.userid,
            endpoint_name=session.endpoint_name,
            action="container.console",
            subject=str(guest),
            address=session.address,
            result=result,
            detail={"node": guest.node, **({"cause": cause} if cause else {})},
        )
