"""What one web process holds while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.monitor.feed import FeedHub
from lxc_dashboard.state.jobs.hub import JobsHub, OnTick
from lxc_dashboard.state.jobs.running_hub import RunningHub, Telling, sid_of
from lxc_dashboard.state.jobs.status import status_of
from lxc_dashboard.state.socket.messages import Checked
from lxc_dashboard.state.socket.seats import Seats
from lxc_dashboard.state.socket.sockets import Sockets
from lxc_dashboard.state.socket.tabs import Tabs
from lxc_dashboard.state.socket.unsent import UnsentQueue

if TYPE_CHECKING:
    from uuid import UUID

    from reflex.app import App

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.monitor.patch import Patch

OnStatus = Callable[[str, "Patch", dict[str, Any]], Awaitable[None]]
# A script of 1 MiB as an event's JSON, its line ends written as two characters; longer texts are refused by the page itself.
MAX_EVENT_BYTES: Final = 3 << 20


class WebProcess:
    """Made by ``app.py`` at import, when there are no settings yet; opened by the server's lifespan."""

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
        """Tells which app's sockets these are, lets them come from ``accepts_origin`` only, and bounds what they bring."""
        if app.sio is None or app.event_namespace is None:
            raise RuntimeError("the app has no websocket")
        app.sio.register_namespace(Checked(app.event_namespace))
        app.sio.eio.cors_allowed_origins = accepts_origin
        # Set here and not in the environment, which only some ways of starting the server would bring.
        app.sio.eio.max_http_buffer_size = MAX_EVENT_BYTES
        app.sio.eio.create_queue = UnsentQueue
        self._sockets = Sockets(app)
        self._tabs = Tabs(app)

    @property
    def is_open(self) -> bool:
        return self._runtime is not None

    @property
    def runtime(self) -> Runtime:
        """Raises ``ServiceUnavailableError`` before the server is up and after it went down."""
        if self._runtime is None:
            raise ServiceUnavailableError("The dashboard is starting")
        return self._runtime

    @property
    def sockets(self) -> Sockets:
        if self._sockets is None:
            raise RuntimeError("the process is not attached to an app")
        return self._sockets

    @property
    def tabs(self) -> Tabs:
        if self._tabs is None:
            raise RuntimeError("the process is not attached to an app")
        return self._tabs

    @property
    def hub(self) -> FeedHub:
        """The feeds that are watched through this process. Raises as ``runtime`` does."""
        if self._hub is None:
            raise ServiceUnavailableError("The dashboard is starting")
        return self._hub

    @property
    def jobs(self) -> JobsHub:
        """The lists of jobs that are watched through this process. Raises as ``runtime`` does."""
        if self._jobs is None:
            raise ServiceUnavailableError("The dashboard is starting")
        return self._jobs

    @property
    def running_now(self) -> RunningHub:
        """What the frames of pages show. Raises as ``runtime`` does."""
        if self._running_now is None:
            raise ServiceUnavailableError("The dashboard is starting")
        return self._running_now

    @property
    def seats(self) -> Seats:
        """Which tabs were here last. Raises as ``runtime`` does."""
        if self._seats is None:
            raise ServiceUnavailableError("The dashboard is starting")
        return self._seats

    @asynccontextmanager
    async def telling_jobs(self, tell: OnTick) -> AsyncIterator[None]:
        """Watches jobs for who looks at their list; ``tell(room, tick)`` brings word of a change to the room's sockets."""
        self._jobs = JobsHub(lambda: self.runtime, self.sockets, tell, self._jobs_moved)
        try:
            yield
        finally:
            await self._jobs.close()
            self._jobs = None

    @asynccontextmanager
    async def telling_running(self, tell: Telling) -> AsyncIterator[None]:
        """Tells pages what runs, and of each look at PVE: within ``feeding`` and ``telling_jobs``, by which it is moved."""
        self._running_now = RunningHub(self.runtime, self.sockets, self.hub, self.jobs, tell)
        try:
            yield
        finally:
            await self._running_now.close()
            self._running_now = None

    def _jobs_moved(self, endpoint_id: UUID) -> None:
        if self._running_now is not None:
            self._running_now.on_jobs(endpoint_id)

    @asynccontextmanager
    async def feeding(self, tell: OnStatus) -> AsyncIterator[None]:
        """Keeps the feeds; ``tell(room, patch, status)`` brings each patch, and ``status_of`` the feed, to the room's sockets."""

        async def told(key: str, patch: Patch) -> None:
            await tell(key, patch, status_of(self.hub.meta(key)))
            if self._running_now is not None:
                await self._running_now.on_patch(key, patch)

        self._hub = FeedHub(self.runtime, told, lambda viewer: self.sockets.is_there(sid_of(viewer)))
        running = asyncio.create_task(self._hub.run(), name="feeds")
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._hub = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        """The lifespan: opens the runtime and closes it at the end."""
        async with self._open_runtime() as runtime:
            self._runtime = runtime
            self._seats = Seats(runtime.bus)
            try:
                yield runtime
            finally:
                self._runtime = self._seats = None
