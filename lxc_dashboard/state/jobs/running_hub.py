"""Tells every open page of a user what runs at his endpoint, and how old what is known of it is: looked for once for all his tabs.

The jobs' hub and the user's feed say when something moved: this asks the database alone, and PVE nothing beyond what the feed does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.jobs import glance
from lxc_dashboard.services.monitor.patch import changed_fields
from lxc_dashboard.state.jobs.running_rows import Shown, shown_of
from lxc_dashboard.state.jobs.status import status_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.monitor.feed import FeedHub
    from lxc_dashboard.state.jobs.hub import JobsHub
    from lxc_dashboard.state.socket.sockets import Sockets

log = structlog.get_logger(__name__)

LOOK_AGAIN_S: Final = 15.0
AT_MOST_EVERY_S: Final = 0.5
_FRAME: Final = "/frame"
# What of a row says whose job works on it.
_TELLING: Final = frozenset({"job", "lifecycle", "name"})


@dataclass(frozen=True, slots=True)
class Telling:
    """What brings what runs, and ``status.status_of``, to the sockets of a room; the status to those that are not in another room."""

    shown: Callable[[str, Shown], Awaitable[None]]
    status: Callable[[str, dict[str, Any], str], Awaitable[None]]


@dataclass(slots=True)
class _Room:
    session: Session
    looker: asyncio.Task[None] | None = None
    shown: Shown | None = None
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


class RunningHub:
    """One per web process. ``tell`` reaches a room's sockets; a socket is a room of its own, too."""

    def __init__(self, rt: Runtime, sockets: Sockets, feeds: FeedHub, jobs: JobsHub, tell: Telling) -> None:
        self._rt = rt
        self._sockets = sockets
        self._feeds = feeds
        self._jobs = jobs
        self._tell = tell
        self._rooms: dict[str, _Room] = {}

    async def watch(self, session: Session, sid: str) -> None:
        """From now on the socket is told what runs, beginning with what is known."""
        key = self._feeds.watch(session, f"{sid}{_FRAME}")
        await self._jobs.attend(sid, session.endpoint_id)
        await self._sockets.enter(sid, room_of(key))
        room = self._rooms.setdefault(key, _Room(session))
        await self._pass_status(sid, session)
        if room.shown is not None:
            await self._tell.shown(sid, room.shown)
        if room.looker is None or room.looker.done():
            room.looker = asyncio.create_task(self._look(key, room, session), name=f"running of {key}")

    async def leave(self, session: Session, sid: str) -> None:
        for key in self._feeds.unwatch(f"{sid}{_FRAME}"):
            await self._sockets.quit(sid, room_of(key))
        await self._jobs.turn_away(sid, session.endpoint_id)

    def on_jobs(self, endpoint_id: UUID) -> None:
        """A job has moved."""
        for room in self._rooms.values():
            if room.session.endpoint_id == endpoint_id:
                room.stirred.set()

    async def on_patch(self, key: str, patch: dict[str, Any]) -> None:
        """A feed has moved; most patches say nothing of what runs. Sockets in the feed's room get the status with the patch."""
        room, said = self._rooms.get(key), (patch.get("meta") or {}).keys()
        if room is None:
            return
        if {"at", "error"} & said:
            await self._pass_status(room_of(key), room.session, but=key)
        if {"tasks", "error"} & said or _TELLING & changed_fields(patch):
            room.stirred.set()

    async def _pass_status(self, to: str, session: Session, but: str = "") -> None:
        status = status_of(self._feeds.known(session)[1])
        if status:
            await self._tell.status(to, status, but)

    async def close(self) -> None:
        lookers = [room.looker for room in self._rooms.values() if room.looker]
        for looker in lookers:
            looker.cancel()
        await asyncio.gather(*lookers, return_exceptions=True)

    async def _look(self, key: str, room: _Room, session: Session) -> None:
        try:
            while self._sockets.count(room_of(key)):
                room.stirred.clear()
                shown = await self._found(session)
                if shown is not None and shown != room.shown:
                    room.shown = shown
                    await self._tell.shown(room_of(key), shown)
                await asyncio.sleep(AT_MOST_EVERY_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await room.stirred.wait()
        finally:
            self._rooms.pop(key, None)

    async def _found(self, session: Session) -> Shown | None:
        rows, meta = self._feeds.known(session)
        try:
            return shown_of(await glance.running(self._rt, session, rows), rows, meta)
        except ServiceUnavailableError as error:
            log.info("what runs is not looked at", why=str(error))
            return None


def room_of(key: str) -> str:
    return f"running:{key}"


def sid_of(viewer: str) -> str:
    """The socket of a feed's viewer, be it a list or a page's frame."""
    return viewer.removesuffix(_FRAME)
