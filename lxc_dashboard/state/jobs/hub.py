"""Tells open pages that jobs changed: reads the jobs of an endpoint once a second while it has viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.jobs.pulse import JobPulse, pulse

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.state.socket.sockets import Sockets

PushTick = Callable[[str, int], Awaitable[None]]
OnChange = Callable[[UUID], None]

log = structlog.get_logger(__name__)

READ_EVERY_S: Final = 1.0
# While no job is unfinished, only a new one can change the list.
IDLE_EVERY_S: Final = 3.0


class JobsHub:
    """One per web process. Calls ``push(room, tick)``, which pushes to the room's sockets, and ``changed(endpoint_id)`` on each change."""

    def __init__(self, runtime: Callable[[], Runtime], sockets: Sockets, push: PushTick, changed: OnChange) -> None:
        self._runtime = runtime
        self._sockets = sockets
        self._push = push
        self._changed = changed
        self._readers: dict[UUID, asyncio.Task[None]] = {}

    async def watch(self, sid: str, endpoint_id: UUID) -> None:
        """Push changes to the socket."""
        await self._sockets.enter(sid, room_of(endpoint_id))
        self._start_reading(endpoint_id)

    async def leave(self, sid: str, endpoint_id: UUID) -> None:
        await self._sockets.quit(sid, room_of(endpoint_id))

    async def attend(self, sid: str, endpoint_id: UUID) -> None:
        """Read the jobs, and call ``changed``, while the socket is open. Pushes nothing to it."""
        await self._sockets.enter(sid, attending(endpoint_id))
        self._start_reading(endpoint_id)

    async def stop_attending(self, sid: str, endpoint_id: UUID) -> None:
        """Undo ``attend``."""
        await self._sockets.quit(sid, attending(endpoint_id))

    def _start_reading(self, endpoint_id: UUID) -> None:
        reader = self._readers.get(endpoint_id)
        if reader is None or reader.done():
            self._readers[endpoint_id] = asyncio.create_task(self._read(endpoint_id), name=f"jobs of {endpoint_id}")

    async def close(self) -> None:
        for reader in self._readers.values():
            reader.cancel()
        await asyncio.gather(*self._readers.values(), return_exceptions=True)

    async def _read(self, endpoint_id: UUID) -> None:
        room = room_of(endpoint_id)
        known: tuple[JobPulse, ...] | None = None
        # Grows from process to process: a tab ignores a tick equal to the one it has.
        tick = time.time_ns() // 1_000_000
        while self._sockets.count(room) or self._sockets.count(attending(endpoint_id)):
            newest = await self._pulse(endpoint_id)
            # The first reading is pushed, too: jobs may have changed since the page was filled.
            if newest is not None and newest != known:
                tick += 1
                self._changed(endpoint_id)
                await self._push(room, tick)
            known = newest if newest is not None else known
            busy = known is None or any(job.finished_at is None for job in known)
            await asyncio.sleep(READ_EVERY_S if busy else IDLE_EVERY_S)

    async def _pulse(self, endpoint_id: UUID) -> tuple[JobPulse, ...] | None:
        try:
            return await pulse(self._runtime(), endpoint_id)
        except ServiceUnavailableError as error:
            log.info("jobs not read", why=str(error))
            return None


def room_of(endpoint_id: UUID) -> str:
    return f"jobs:{endpoint_id}"


def attending(endpoint_id: UUID) -> str:
    return f"jobs-attending:{endpoint_id}"
