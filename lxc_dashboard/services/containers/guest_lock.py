"""One act at a time on a guest, across all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.errors import ConflictError, ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus

log = structlog.get_logger(__name__)

# A dead process holds a guest for at most this long. An act may take longer: the lease is renewed.
LEASE_S: Final = 30.0
RENEWED_EVERY_S: Final = 10.0


@asynccontextmanager
async def guest_lock(bus: Bus, endpoint_id: UUID, vmid: int, name: str = "") -> AsyncIterator[None]:
    """Hold the guest's lock, a renewed lease, within the block. ``name``: the guest's, for the conflict's message.

    Raises ``ConflictError`` if another act holds the lock, ``ServiceUnavailableError``.
    """
    key, owner = f"guest-lock:{endpoint_id}:{vmid}", uuid4().hex
    if not await bus.acquire_lease(key, owner, LEASE_S):
        raise ConflictError(f"{f'CT {vmid} {name}'.strip()} is busy. Try again later")
    renewing = asyncio.create_task(_renew(bus, key, owner))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        try:
            await bus.release_lease(key, owner)
        except ServiceUnavailableError as error:
            # the act is done, and the lease ends by itself
            log.warning("guest lock not released", key=key, why=str(error))


async def _renew(bus: Bus, key: str, owner: str) -> None:
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
