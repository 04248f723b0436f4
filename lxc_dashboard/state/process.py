"""The sockets, tabs, feeds and hubs of one web process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lxc_dashboard.errors import ErrorCode, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.monitor.feed import FeedHub
from lxc_dashboard.state.jobs.hubs import JobsHub, Pushes, PushTick, RunningHub, sid_of, status_of
from lxc_dashboard.state.socket.messages import CheckedNamespace
from lxc_dashboard.state.socket.sockets import Sockets, UnsentQueue
from lxc_dashboard.state.socket.tabs import Seats, Tabs
from lxc_dashboard.text import with_remedy

if TYPE_CHECKING:
    from uuid import UUID

    from reflex.app import App

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.monitor.replica import Patch

T = TypeVar("T")
PushPatch = Callable[[str, "Patch", dict[str, Any]], Awaitable[None]]
# Fits a script of 1 MiB as JSON, with two characters for each line end. The page itself refuses longer texts.
MAX_EVENT_BYTES: Final = 3 << 20


class WebProcess:
    """Created by ``app.py`` at import, before settings exist. The server's lifespan opens it."""

    def __init__(self, open_runtime: Callable[[], AbstractAsyncContextManager[Runtime]]) -> None:
        self._open_runtime = open_runtime
        self._runtime: Runtime | None = None
        self._sockets: Sockets | None = None
        self._tabs: Tabs | None = None
        self._hub: FeedHub | None = None
        self._jobs: JobsHub | None = None
        self._running_now: RunningHub | None = None
        self._seats: Seats | None = None

    def attach(self, app: App, accepts_origin: Callable[[str | None, Mapping[str, str]], bool]) -> None:
        """Set up the app's sockets: allow only origins that ``accepts_origin`` accepts, check and limit their messages."""
        if app.sio is None or app.event_namespace is None:
            raise RuntimeError("the app has no websocket")
        app.sio.register_namespace(CheckedNamespace(app.event_namespace))
        app.sio.eio.cors_allowed_origins = accepts_origin
        # Not by an environment variable, since the server may be started without it.
        app.sio.eio.max_http_buffer_size = MAX_EVENT_BYTES
        app.sio.eio.create_queue = UnsentQueue
        self._sockets = Sockets(app)
        self._tabs = Tabs(app)

    @property
    def is_open(self) -> bool:
        return self._runtime is not None

    @property
    def runtime(self) -> Runtime:
        """The open runtime. Raises ``ServiceUnavailableError`` before the server's start and after its end."""
        return _opened(self._runtime)

    @property
    def sockets(self) -> Sockets:
        return _attached(self._sockets)

    @property
    def tabs(self) -> Tabs:
        return _attached(self._tabs)

    @property
    def hub(self) -> FeedHub:
        """The feeds with viewers in this process. Raises as ``runtime`` does."""
        return _opened(self._hub)

    @property
    def jobs(self) -> JobsHub:
        """The endpoints whose jobs have viewers in this process. Raises as ``runtime`` does."""
        return _opened(self._jobs)

    @property
    def running_now(self) -> RunningHub:
        """The hub for the frames of pages: running jobs and the feed's status. Raises as ``runtime`` does."""
        return _opened(self._running_now)

    @property
    def seats(self) -> Seats:
        """The web process of each tab. Raises as ``runtime`` does."""
        return _opened(self._seats)

    @asynccontextmanager
    async def open_jobs(self, push: PushTick) -> AsyncIterator[None]:
        """Run the hub of jobs. ``push(room, tick)`` notifies the room's sockets of a change."""
        self._jobs = JobsHub(lambda: self.runtime, self.sockets, push, self._jobs_changed)
        try:
            yield
        finally:
            await self._jobs.close()
            self._jobs = None

    @asynccontextmanager
    async def open_running(self, push: Pushes) -> AsyncIterator[None]:
        """Run the hub of the frame. It needs the hubs of ``open_feeds`` and ``open_jobs``."""
        self._running_now = RunningHub(self.runtime, self.sockets, self.hub, self.jobs, push)
        try:
            yield
        finally:
            await self._running_now.close()
            self._running_now = None

    def _jobs_changed(self, endpoint_id: UUID) -> None:
        if self._running_now is not None:
            self._running_now.on_jobs(endpoint_id)

    @asynccontextmanager
    async def open_feeds(self, push: PushPatch) -> AsyncIterator[None]:
        """Run the feeds. ``push(room, patch, status)`` pushes each patch and the feed's status to the room's sockets."""

        async def on_patch(key: str, patch: Patch) -> None:
            await push(key, patch, status_of(self.hub.meta(key)))
            if self._running_now is not None:
                await self._running_now.on_patch(key, patch)

        self._hub = FeedHub(self.runtime, on_patch, lambda viewer: self.sockets.is_there(sid_of(viewer)), feed_error)
        running = asyncio.create_task(self._hub.run(), name="feeds")
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._hub = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        """The lifespan: open the runtime, and close it at the end."""
        async with self._open_runtime() as runtime:
            self._runtime = runtime
            self._seats = Seats(runtime.bus)
            try:
                yield runtime
            finally:
                self._runtime = self._seats = None


def feed_error(error: Mapping[str, Any] | Message | str) -> str:
    """Why PVE does not answer, without a final full stop. A string comes from a process of an older version."""
    return (error if isinstance(error, str) else with_remedy(error)).rstrip(".")


def _opened(part: T | None) -> T:
    if part is None:
        raise ServiceUnavailableError(Message.of(ErrorCode.STARTING))
    return part


def _attached(part: T | None) -> T:
    if part is None:
        raise RuntimeError("the process is not attached to an app")
    return part
