"""One act at a time on a guest, across all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.containers.codes import ContainerCode

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus

log = structlog.get_logger(__name__)

# A process that dies holds a guest no longer than this; an act may take as long as PVE does.
LEASE_S: Final = 30.0
RENEWED_EVERY_S: Final = 10.0


@asynccontextmanager
async def guest_lock(bus: Bus, endpoint_id: UUID, vmid: int, name: str = "") -> AsyncIterator[None]:
    """Held, by a lease that is renewed, until the block is left. ``name``: the guest's, to be told to others.

    Raises ``ConflictError`` where somebody else holds it, ``ServiceUnavailableError``.
    """
    key, owner = f"guest-lock:{endpoint_id}:{vmid}", uuid4().hex
    if not await bus.acquire_lease(key, owner, LEASE_S):
        raise ConflictError(Message.of(ContainerCode.GUEST_LOCKED, guest=f"CT {vmid} {name}".strip()))
    keeping = asyncio.create_task(_keep(bus, key, owner))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        try:
            await bus.release_lease(key, owner)
        except ServiceUnavailableError as error:
            # what was done within is done: the lease ends by itself
            log.warning("guest lock not given back", key=key, why=str(error))


async def _keep(bus: Bus, key: str, owner: str) -> None:
    while True:
        await asyncio.sleep(RENEWED_EVERY_S)
        try:
            held = await bus.acquire_lease(key, owner, LEASE_S)
        except ServiceUnavailableError as error:
            log.warning("guest lock not renewed", key=key, why=str(error))
            continue
        if not held:
            log.warning("guest lock lost", key=key)
            return
