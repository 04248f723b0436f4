"""The worker's loop: long jobs leave room for urgent ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from tasks import loop as worker_loop
from tasks.loop import WorkerLoop

PATIENCE_S = 60


@pytest.fixture
def loop() -> Iterator[WorkerLoop]:
    settings = Settings(
        DATABASE_URL=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        REDIS_URL=SecretStr("redis://127.0.0.1:1/0"),
        ENCRYPTION_KEY=SecretStr("0" * 64),
    )
    loop = WorkerLoop(lambda: Runtime.open(settings), "test", places=2)
    loop.start()
    yield loop
    loop.stop()


def test_so_many_creations_run_at_once_and_those_beyond_are_left(loop: WorkerLoop) -> None:
    begun, end, more = threading.Semaphore(0), threading.Event(), threading.Event()

    async def creation(_: Runtime) -> None:
        begun.release()
        await asyncio.to_thread(end.wait, PATIENCE_S)

    async def short(_: Runtime) -> None:
        more.set()

    with ThreadPoolExecutor() as threads:
        running = [threads.submit(loop.run_in_place, creation) for _ in range(2)]
        try:
            assert all(begun.acquire(timeout=PATIENCE_S) for _ in running)
            loop.run_in_place(short)
            assert not more.is_set()
            loop.run(short)
            assert more.is_set()
        finally:
            end.set()
    more.clear()
    loop.run_in_place(short)
    assert more.is_set()


def test_the_heartbeat_outlives_an_error_that_nobody_expected(
    loop: WorkerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = threading.Semaphore(0)

    async def breaks(*_: object, **__: object) -> None:
        beats.release()
        raise RuntimeError("frobnicated")

    async def breaks_from_now_on(rt: Runtime) -> None:
        monkeypatch.setattr(rt.bus, "set", breaks)

    monkeypatch.setattr(worker_loop, "HEARTBEAT_S", 0.01)
    loop.run(breaks_from_now_on)
    assert all(beats.acquire(timeout=PATIENCE_S) for _ in range(3))


def test_a_creation_that_breaks_gives_its_place_back(loop: WorkerLoop) -> None:
    async def broken(_: Runtime) -> None:
        raise RuntimeError("broken")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            loop.run_in_place(broken)
