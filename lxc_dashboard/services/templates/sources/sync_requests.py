"""Who wants a pass over a source, and who is making one: marks and leases in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.bus import Bus
from lxc_dashboard.errors import ServiceUnavailableError

WISH_S: Final = 24 * 3600.0
# How long a source stays closed after the process that was reading it died.
LEASE_S: Final = 60.0
RENEWALS: Final = 3  # within the time of a lease

log = structlog.get_logger(__name__)


async def make(bus: Bus, source_id: UUID) -> None:
    """A wish with a name of its own: a pass that has begun already does not fulfil it."""
    await bus.set(_wish(source_id), uuid4().hex.encode(), ttl_s=WISH_S)


async def make_if_none(bus: Bus, source_id: UUID) -> None:
    await bus.set_new(_wish(source_id), uuid4().hex.encode(), ttl_s=WISH_S)


async def pending(bus: Bus, source_id: UUID) -> str:
    """The wish's name, empty where there is none."""
    wish = await bus.get(_wish(source_id))
    return "" if wish is None else wish.decode()


async def fulfil(bus: Bus, source_id: UUID, wish: str) -> None:
    """Ends this wish; one that came after it stays."""
    await bus.release_lease(_wish(source_id), wish)


@asynccontextmanager
async def reading(bus: Bus, source_id: UUID, *, lease_s: float = LEASE_S) -> AsyncIterator[bool]:
    """Whether the source is the caller's to read; while he does, nobody else is told so."""
    me = uuid4().hex
    if not await bus.acquire_lease(lease(source_id), me, lease_s):
        yield False
        return
    renewing = asyncio.create_task(_renew(bus, source_id, me, lease_s), name=f"lease of source {source_id}")
    try:
        yield True
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await bus.release_lease(lease(source_id), me)


async def _renew(bus: Bus, source_id: UUID, me: str, lease_s: float) -> None:
    while True:
        await asyncio.sleep(lease_s / RENEWALS)
        try:
            if not await bus.renew_lease(lease(source_id), me, lease_s):
                # What two passes read at once is stored once: see ``sync.store_reading``.
                log.warning("lease of a template source lost", source_id=str(source_id))
                return
        except ServiceUnavailableError as error:
            log.warning("lease of a template source not renewed", source_id=str(source_id), why=str(error))


def lease(source_id: UUID) -> str:
    return f"template-source:{source_id}:lease"


def _wish(source_id: UUID) -> str:
    return f"template-source:{source_id}:wish"
