"""The worker's event loop, in its own thread, with the ``Runtime``. Tasks submit their work to it and wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import structlog

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)
T = TypeVar("T")

HEARTBEAT_KEY: Final = "worker:alive"
HEARTBEAT_S: Final = 5
STOP_WITHIN_S: Final = 10


class WorkerLoop:
    """``run`` works from any thread. ``stop`` cancels all work; the reaper then finds the cancelled jobs."""

    def __init__(
        self, open_runtime: Callable[[], AbstractAsyncContextManager[Runtime]], name: str, *, places: int
    ) -> None:
        self._open_runtime = open_runtime
        self._name = name
        self._places = threading.BoundedSemaphore(places)
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runtime: Runtime | None = None
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="worker-loop", daemon=True)

    def start(self) -> None:
        """Return once the runtime is open; raise the error that kept it from opening."""
        self._thread.start()
        self._ready.wait()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Cancel all work, close the runtime, end the thread."""
        if self._loop is not None and self._ending is not None:
            with contextlib.suppress(RuntimeError):  # already closed
                self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(STOP_WITHIN_S)

    def run(self, work: Callable[[Runtime], Awaitable[T]]) -> T:
        """Run ``work`` on the loop and wait for it. Raises ``ServiceUnavailableError`` while the worker ends."""
        loop, runtime = self._loop, self._runtime
        if loop is None or runtime is None or loop.is_closed():
            raise ServiceUnavailableError("The worker is ending")

        async def awaited() -> T:
            return await work(runtime)

        return asyncio.run_coroutine_threadsafe(awaited(), loop).result()

    def run_in_place(self, work: Callable[[Runtime], Awaitable[object]]) -> None:
        """``run`` for work that may last for hours. Only ``places`` may run at once, so that short tasks find a thread.

        Does nothing if all places are taken: the reaper queues the work again.
        """
        if not self._places.acquire(blocking=False):
            log.info("no place is free: left to the reaper")
            return
        try:
            self.run(work)
        finally:
            self._places.release()

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # start() raises it
            self._fault = error
            if self._ready.is_set():
                log.exception("worker loop ended")
        finally:
            self._ready.set()

    async def _live(self) -> None:
        async with self._open_runtime() as runtime, _background(self._beat(runtime)):
            self._loop, self._runtime, self._ending = asyncio.get_running_loop(), runtime, asyncio.Event()
            self._ready.set()
            await self._ending.wait()
            self._runtime = None
            await _cancel_others()

    async def _beat(self, runtime: Runtime) -> None:
        """Store every few seconds that the worker is alive, for ``doctor``."""
        while True:
            try:
                await runtime.bus.set(HEARTBEAT_KEY, self._name.encode(), ttl_s=3 * HEARTBEAT_S)
            except ServiceUnavailableError as error:
                log.warning("redis does not answer", cause=error.detail)
            except Exception:
                log.exception("heartbeat not told")
            await asyncio.sleep(HEARTBEAT_S)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
