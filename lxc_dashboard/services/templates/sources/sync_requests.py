"""Marks in Redis: requests for passes over sources, and the lease of the process that makes a pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.bus import Bus
from lxc_dashboard.errors import ServiceUnavailableError

REQUEST_S: Final = 24 * 3600.0
# How long a source stays locked after its process died.
LEASE_S: Final = 60.0
RENEWALS: Final = 3  # renewals within the time of a lease

log = structlog.get_logger(__name__)


async def add(bus: Bus, source_id: UUID) -> None:
    """Request a pass that begins after this call. Each request gets a unique name."""
    await bus.set(_key(source_id), uuid4().hex.encode(), ttl_s=REQUEST_S)


async def add_if_none(bus: Bus, source_id: UUID) -> None:
    await bus.set_new(_key(source_id), uuid4().hex.encode(), ttl_s=REQUEST_S)


async def pending(bus: Bus, source_id: UUID) -> str:
    """The request's name; empty if there is none."""
    name = await bus.get(_key(source_id))
    return "" if name is None else name.decode()


async def complete(bus: Bus, source_id: UUID, name: str) -> None:
    """Remove this request; a later one stays."""
    await bus.release_lease(_key(source_id), name)


@asynccontextmanager
async def exclusive(bus: Bus, source_id: UUID, *, lease_s: float = LEASE_S) -> AsyncIterator[bool]:
    """Take the source's lease for the block. Yields False if another process holds it."""
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
                # Only one of two concurrent passes is stored: see ``sync.store_reading``.
                log.warning("lease of a template source lost", source_id=str(source_id))
                return
        except ServiceUnavailableError as error:
            log.warning("lease of a template source not renewed", source_id=str(source_id), why=str(error))


def lease(source_id: UUID) -> str:
    return f"template-source:{source_id}:lease"


def _key(source_id: UUID) -> str:
    return f"template-source:{source_id}:wish"
