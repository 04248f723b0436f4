"""What one at a time may do, such as the download of one OS template that a whole batch asks for, by whichever process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus

log = structlog.get_logger(__name__)

LEASE_S: Final = 30.0
RENEW_EVERY_S: Final = 8.0


async def is_first(bus: Bus, key: str, owner: str) -> bool:
    """Whether it is the owner's turn. A run that goes on with another worker has its turn still, where it is the owner."""
    return await bus.acquire_lease(key, owner, LEASE_S)


@asynccontextmanager
async def kept(bus: Bus, key: str, owner: str) -> AsyncIterator[None]:
    """The turn lasts as long as the block, and ends by itself ``LEASE_S`` after a worker's death."""
    renewing = asyncio.create_task(_renew(bus, key, owner))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        try:
            await bus.release_lease(key, owner)
        except ServiceUnavailableError as error:
            log.info("a turn ends by itself", key=key, why=str(error))


async def _renew(bus: Bus, key: str, owner: str) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await bus.acquire_lease(key, owner, LEASE_S)
        except ServiceUnavailableError as error:
            log.info("a turn was not kept", key=key, why=str(error))
