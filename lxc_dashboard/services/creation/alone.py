"""What one run at a time may do, such as the download of one OS template that a whole batch asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

LEASE_S: Final = 30.0
RENEW_EVERY_S: Final = 8.0


async def is_first(ctx: RunContext, key: str) -> bool:
    """Whether it is this run's turn. A run that goes on with another worker has its turn still."""
    return await ctx.rt.bus.acquire_lease(key, str(ctx.creation_id), LEASE_S)


@asynccontextmanager
async def kept(ctx: RunContext, key: str) -> AsyncIterator[None]:
    """The turn lasts as long as the block, and ends by itself ``LEASE_S`` after a worker's death."""
    renewing = asyncio.create_task(_renew(ctx, key))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        try:
            await ctx.rt.bus.release_lease(key, str(ctx.creation_id))
        except ServiceUnavailableError as error:
            log.info("a turn ends by itself", key=key, why=str(error))


async def _renew(ctx: RunContext, key: str) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await ctx.rt.bus.acquire_lease(key, str(ctx.creation_id), LEASE_S)
        except ServiceUnavailableError as error:
            log.info("a turn was not kept", key=key, why=str(error))
