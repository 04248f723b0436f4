"""The data in the frame of every page: running jobs and tasks at the endpoint, and the status of the feed.

``JobsHub`` reads the jobs of an endpoint once a second while it has viewers, and notifies open pages of changes.
``RunningHub`` reads the running jobs once for all tabs of a user, after a change in ``JobsHub`` or in the user's feed. Both
read the database, and never PVE.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard import routes, text
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.jobs.listing import JobPulse, pulse
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.monitor.replica import changed_fields
from lxc_dashboard.services.monitor.rows import DOING
from lxc_dashboard.state.jobs.rows import DOTS, title_of, word_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.monitor.feed import FeedHub
    from lxc_dashboard.services.monitor.rows import Row
    from lxc_dashboard.state.socket.sockets import Sockets


PushTick = Callable[[str, int], Awaitable[None]]
OnChange = Callable[[UUID], None]

log = structlog.get_logger(__name__)

READ_EVERY_S: Final = 1.0
# While all jobs have ended, only a new job can change the list.
IDLE_EVERY_S: Final = 3.0


class JobsHub:
    """Reads the jobs of endpoints with viewers. One per web process.

    On each change, calls ``push(room, tick)``, which pushes to the room's sockets, and ``changed(endpoint_id)``.
    """

    def __init__(self, runtime: Callable[[], Runtime], sockets: Sockets, push: PushTick, changed: OnChange) -> None:
        self._runtime = runtime
        self._sockets = sockets
        self._push = push
        self._changed = changed
        self._readers: dict[UUID, asyncio.Task[None]] = {}

    async def watch(self, sid: str, endpoint_id: UUID) -> None:
        """Push changes to the socket until it leaves or closes."""
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
        # From the clock, so that a new process never repeats a tick: a tab ignores a tick that it already has.
        tick = time.time_ns() // 1_000_000
        while self._sockets.count(room) or self._sockets.count(attending(endpoint_id)):
            newest = await self._pulse(endpoint_id)
            # Push the first reading, too: jobs may have changed since the page was filled.
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


Shown = dict[str, Any]


LISTED: Final = 50
READ_AGAIN_S: Final = 15.0
AT_MOST_EVERY_S: Final = 0.5
_FRAME: Final = "/frame"
# Fields of a feed's row that a job on the guest changes.
_OF_JOBS: Final = frozenset({"job", "lifecycle", "name"})


@dataclass(frozen=True, slots=True)
class Pushes:
    """Functions that push to the sockets of a room: ``shown`` the result of ``shown_of``, ``status`` that of ``status_of``.

    The last argument of ``status`` names a room whose sockets are left out.
    """

    shown: Callable[[str, Shown], Awaitable[None]]
    status: Callable[[str, dict[str, Any], str], Awaitable[None]]


@dataclass(slots=True)
class _Room:
    session: Session
    reader: asyncio.Task[None] | None = None
    shown: Shown | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class RunningHub:
    """Pushes running jobs and the feed's status to the frames of pages. One per web process.

    A socket's id is also the name of a room with this socket only.
    """

    def __init__(self, rt: Runtime, sockets: Sockets, feeds: FeedHub, jobs: JobsHub, pushes: Pushes) -> None:
        self._rt = rt
        self._sockets = sockets
        self._feeds = feeds
        self._jobs = jobs
        self._pushes = pushes
        self._rooms: dict[str, _Room] = {}

    async def watch(self, session: Session, sid: str) -> None:
        """Push the running jobs and tasks to the socket, now and after each change."""
        key = self._feeds.watch(session, f"{sid}{_FRAME}")
        await self._jobs.attend(sid, session.endpoint_id)
        await self._sockets.enter(sid, looks_room(key))
        room = self._rooms.setdefault(key, _Room(session))
        await self._push_status(sid, session)
        if room.shown is not None:
            await self._pushes.shown(sid, room.shown)
        if room.reader is None or room.reader.done():
            room.reader = asyncio.create_task(self._follow(key, room, session), name=f"running of {key}")

    async def leave(self, session: Session, sid: str) -> None:
        for key in self._feeds.unwatch(f"{sid}{_FRAME}"):
            await self._sockets.quit(sid, looks_room(key))
        await self._jobs.stop_attending(sid, session.endpoint_id)

    def on_jobs(self, endpoint_id: UUID) -> None:
        """Read again, because a job changed."""
        for room in self._rooms.values():
            if room.session.endpoint_id == endpoint_id:
                room.changed.set()

    async def on_patch(self, key: str, patch: dict[str, Any]) -> None:
        """Push the status and read again if a feed's patch affects them; most patches do not.

        Sockets in the feed's room receive the status with the patch itself.
        """
        room, meta = self._rooms.get(key), (patch.get("meta") or {}).keys()
        if room is None:
            return
        if {"at", "error"} & meta:
            await self._push_status(looks_room(key), room.session, but=key)
        if {"tasks", "error"} & meta or _OF_JOBS & changed_fields(patch):
            room.changed.set()

    async def _push_status(self, to: str, session: Session, but: str = "") -> None:
        status = status_of(self._feeds.known(session)[1])
        if status:
            await self._pushes.status(to, status, but)

    async def close(self) -> None:
        readers = [room.reader for room in self._rooms.values() if room.reader]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def _follow(self, key: str, room: _Room, session: Session) -> None:
        try:
            while self._sockets.count(looks_room(key)):
                room.changed.clear()
                shown = await self._read(session)
                if shown is not None and shown != room.shown:
                    room.shown = shown
                    await self._pushes.shown(looks_room(key), shown)
                await asyncio.sleep(AT_MOST_EVERY_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(READ_AGAIN_S):
                        await room.changed.wait()
        finally:
            self._rooms.pop(key, None)

    async def _read(self, session: Session) -> Shown | None:
        rows, meta = self._feeds.known(session)
        try:
            return shown_of(await listing.running(self._rt, session, rows), rows, meta)
        except ServiceUnavailableError as error:
            log.info("running jobs not read", why=str(error))
            return None


def looks_room(key: str) -> str:
    return f"running:{key}"


def sid_of(viewer: str) -> str:
    """The socket of a feed's viewer. A viewer is a list or the frame of a page."""
    return viewer.removesuffix(_FRAME)


def shown_of(jobs: Sequence[JobView], rows: Mapping[int, Row], meta: Mapping[str, Any]) -> Shown:
    """``{count, entries, more, silent}``: jobs first, then the tasks of PVE that belong to no job.

    ``rows`` and ``meta`` are the feed's. ``silent``: PVE does not answer, so the tasks are the last known ones.
    """
    entries = [*map(_job, jobs), *_tasks(meta.get("tasks", ()), rows, {job.vmid for job in jobs})]
    listed = entries[:LISTED]
    more = len(entries) - len(listed)
    return {"count": len(entries), "entries": listed, "more": more, "silent": bool(meta.get("error"))}


def _job(job: JobView) -> Shown:
    return {
        "key": str(job.id),
        "href": routes.job(job.id),
        "title": title_of(job),
        "about": _joined(f"{text.CT} {job.vmid}", job.node, job.template, job.userid),
        "dot": DOTS[job.state.value],
        "word": word_of(job),
        "percent": job.percent or -1,
        "since": (job.started_at or job.created_at).isoformat(),
    }


def _tasks(tasks: Iterable[Mapping[str, Any]], rows: Mapping[int, Row], ours: set[int]) -> list[Shown]:
    return [_task(task, rows) for task in tasks if _vmid(task) not in ours]


def _vmid(task: Mapping[str, Any]) -> int:
    """The vmid of a task; 0 if the task is not about a guest."""
    return int(task["id"]) if task["id"].isdecimal() else 0


def _task(task: Mapping[str, Any], rows: Mapping[int, Row]) -> Shown:
    """The entry of a task. ``percent`` is -1, since PVE reports none."""
    vmid, subject = _vmid(task), task["id"]
    guest = rows.get(vmid)
    if guest:
        subject = f"{text.CT} {vmid} {guest.name}"
    return {
        "key": task["upid"],
        "href": routes.containers(q=f"{vmid} {guest.name}") if guest else "",
        "title": subject or task["type"],
        "about": _joined(text.PVE_TASK.format(type=task["type"]), task["node"], task["user"]),
        "dot": "changing",
        "word": DOING.get(task["type"], text.TASK_RUNNING),
        "percent": -1,
        "since": task["since"],
    }


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def status_of(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The status line of a feed: ``{age, at, version, up, all, error}``; empty before PVE first answered or failed.

    ``age``: of the known state in seconds (-1: none), since a browser's clock may differ from the server's. ``up`` of ``all``
    nodes are online. ``error``: PVE or a node's pvedaemon does not answer. ``at``: when PVE was read, by the server's clock.
    ``at`` makes each status differ, since Reflex keeps the old object for an equal delta.
    """
    if "at" not in meta and not meta.get("error"):
        return {}
    nodes = meta.get("nodes", [])
    return {
        "age": round(max(0.0, time.time() - meta["at"]), 1) if "at" in meta else -1,
        "at": meta.get("at", 0),
        "version": meta.get("version", ""),
        "up": sum(not node["down"] for node in nodes),
        "all": len(nodes),
        "error": meta.get("error", "") or _silent(nodes),
    }


def _silent(nodes: Iterable[Mapping[str, Any]]) -> str:
    names = [node["name"] for node in nodes if node.get("silent")]
    return text.DAEMON_SILENT.format(nodes=", ".join(names)) if names else ""
