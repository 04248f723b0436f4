"""Tells open pages that something changed in the jobs: one look a second for all viewers of an endpoint, none without."""

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

OnTick = Callable[[str, int], Awaitable[None]]
OnChange = Callable[[UUID], None]

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
# Without an unfinished job only a new one can change the list.
IDLE_EVERY_S: Final = 3.0


class JobsHub:
    """One per web process. ``tell(room, tick)`` reaches the room's sockets; ``changed(endpoint_id)`` is called with each change."""

    def __init__(self, runtime: Callable[[], Runtime], sockets: Sockets, tell: OnTick, changed: OnChange) -> None:
        self._runtime = runtime
        self._sockets = sockets
        self._tell = tell
        self._changed = changed
        self._lookers: dict[UUID, asyncio.Task[None]] = {}

    async def watch(self, sid: str, endpoint_id: UUID) -> None:
        """From now on the socket is told of changes."""
        await self._sockets.enter(sid, room_of(endpoint_id))
        self._look_at(endpoint_id)

    async def leave(self, sid: str, endpoint_id: UUID) -> None:
        await self._sockets.quit(sid, room_of(endpoint_id))

    async def attend(self, sid: str, endpoint_id: UUID) -> None:
        """Changes are looked for as long as the socket is there, though it is told of none by itself."""
        await self._sockets.enter(sid, attending(endpoint_id))
        self._look_at(endpoint_id)

    async def turn_away(self, sid: str, endpoint_id: UUID) -> None:
        """The end of ``attend``."""
        await self._sockets.quit(sid, attending(endpoint_id))

    def _look_at(self, endpoint_id: UUID) -> None:
        looker = self._lookers.get(endpoint_id)
        if looker is None or looker.done():
            self._lookers[endpoint_id] = asyncio.create_task(self._look(endpoint_id), name="jobs of an endpoint")

    async def close(self) -> None:
        for looker in self._lookers.values():
            looker.cancel()
        await asyncio.gather(*self._lookers.values(), return_exceptions=True)

    async def _look(self, endpoint_id: UUID) -> None:
        room = room_of(endpoint_id)
        known: tuple[JobPulse, ...] | None = None
        # A number that a tab still holds from an earlier watch, here or in another process, would tell it nothing.
        tick = time.time_ns() // 1_000_000
        while self._sockets.count(room) or self._sockets.count(attending(endpoint_id)):
            found = await self._pulse(endpoint_id)
            # The first look is told, too: something may have moved since the page that began it was read.
            if found is not None and found != known:
                tick += 1
                self._changed(endpoint_id)
                await self._tell(room, tick)
            known = found if found is not None else known
            busy = known is None or any(job.finished_at is None for job in known)
            await asyncio.sleep(LOOK_EVERY_S if busy else IDLE_EVERY_S)

    async def _pulse(self, endpoint_id: UUID) -> tuple[JobPulse, ...] | None:
        try:
            return await pulse(self._runtime(), endpoint_id)
        except ServiceUnavailableError as error:
            log.info("jobs not looked at", why=str(error))
            return None


def room_of(endpoint_id: UUID) -> str:
    return f"jobs:{endpoint_id}"


def attending(endpoint_id: UUID) -> str:
    return f"jobs-attending:{endpoint_id}"
