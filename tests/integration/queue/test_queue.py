"""Tasks for a real worker over a real Valkey."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis.asyncio import Redis

from lxc_dashboard.bus import BEGINNING, Bus
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.queue import QUEUE_NAME, Queue, create_celery
from lxc_dashboard.settings import Settings
from tasks.loop import HEARTBEAT_KEY
from tests.e2e.stack import QUICK
from tests.integration.conftest import Services

PROJECT = Path(__file__).parents[3]
STREAM = "probe"
STANDSTILL_NAMED_WITHIN_S = 30
StartWorker = Callable[..., subprocess.Popen[bytes]]


def spawn_worker(environ: dict[str, str], log_file: Path, clock: Path | None = None) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        shifted = ["tests.integration.shifted", str(clock)] if clock else []
        command = [sys.executable, "-m", *shifted, "tests.integration.queue.worker"]
        hurried = {"TIMING": QUICK.model_dump_json()}
        return subprocess.Popen(command, cwd=PROJECT, env=os.environ | hurried | environ, stdout=log, stderr=log)


def end_worker(process: subprocess.Popen[bytes]) -> None:
    """Terminate the worker, so that its coverage is stored; kill it if it does not end."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers on this test's own Valkey."""
    started: list[subprocess.Popen[bytes]] = []

    def start(clock: Path | None = None, **environ: str) -> subprocess.Popen[bytes]:
        secrets = {
            name: getattr(settings, name).get_secret_value() for name in ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY")
        }
        started.append(spawn_worker(secrets | environ, tmp_path / "worker.log", clock))
        return started[-1]

    yield start
    for process in started:
        end_worker(process)
    sys.stdout.write((tmp_path / "worker.log").read_text())


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    await bus.close()


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    queue = Queue(redis_url)
    yield queue
    queue.close()


@pytest.fixture(scope="module")
def shared_redis_url(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey database with one worker, shared by the tests that need no worker of their own."""
    database_url, redis_url = services.create_database("template1"), services.empty_redis_url()
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": "ab" * 32}
    worker = spawn_worker(environ, tmp_path_factory.mktemp("worker") / "worker.log")
    yield redis_url
    end_worker(worker)
    services.drop_database(database_url)


class TestOneWorker:
    @pytest.fixture
    def redis_url(self, shared_redis_url: str) -> str:
        return shared_redis_url

    async def test_a_task_is_run_by_its_name_on_the_loop(self, bus: Bus, queue: Queue) -> None:
        await queue.enqueue("probe.say", word="hello")
        await expect_said(bus, lambda said: "hello" in said)

    async def test_many_tasks_run_at_the_same_time(self, bus: Bus, queue: Queue) -> None:
        await asyncio.gather(*(queue.enqueue("probe.meet", number=str(n), of="20") for n in range(20)))
        await expect_said(bus, lambda said: sum(word.startswith("met") for word in said) == 20)

    async def test_logs_of_a_task_carry_its_name(self, bus: Bus, queue: Queue) -> None:
        await queue.enqueue("probe.context")
        await expect_said(bus, lambda said: "probe.context" in said)

    async def test_a_task_that_fails_harms_no_other(self, bus: Bus, queue: Queue) -> None:
        await queue.enqueue("probe.fail")
        await queue.enqueue("probe.say", word="after")
        await expect_said(bus, lambda said: "after" in said)

    async def test_it_reaps_by_the_clock(self, bus: Bus) -> None:
        await bus.delete(STREAM)
        await expect_said(bus, lambda said: said.count("reap") >= 2)

    async def test_it_says_that_it_lives(self, bus: Bus) -> None:
        async with asyncio.timeout(60):
            while await bus.get(HEARTBEAT_KEY) is None:
                await asyncio.sleep(0.02)
        assert (await bus.get(HEARTBEAT_KEY) or b"").rpartition(b":")[2].isdigit()


async def expect_said(bus: Bus, wanted: Callable[[list[str]], bool], within_s: float = 100) -> list[str]:
    """Assert that the worker's notes become what ``wanted`` accepts."""
    said: list[str] = []
    try:
        async with asyncio.timeout(within_s):
            while not wanted(said):
                said = [word.decode() for _, word in await bus.read_after(STREAM, BEGINNING, count=10_000)]
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"the worker said only {said}")
    return said


async def test_what_was_sent_before_any_worker_is_run_by_the_first(
    start_worker: StartWorker, bus: Bus, queue: Queue
) -> None:
    await queue.enqueue("probe.say", word="early")
    start_worker()
    await expect_said(bus, lambda said: "early" in said and "reap" in said)


@pytest.mark.parametrize("asked", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
async def test_a_worker_that_is_told_to_end_cancels_what_runs(
    start_worker: StartWorker, bus: Bus, queue: Queue, asked: signal.Signals
) -> None:
    worker = start_worker()
    await queue.enqueue("probe.sleep")
    await expect_said(bus, lambda said: "asleep" in said)
    worker.send_signal(asked)
    assert await asyncio.to_thread(worker.wait, 60) == 0
    assert "woken" in await expect_said(bus, lambda said: "woken" in said)


async def test_after_kill_9_the_next_worker_reaps_and_its_clock_goes_on(
    start_worker: StartWorker, bus: Bus, queue: Queue
) -> None:
    worker = start_worker()
    await expect_said(bus, lambda said: said.count("reap") >= 2)
    worker.kill()
    worker.wait()
    await bus.delete(STREAM)
    start_worker()
    await expect_said(bus, lambda said: said.count("reap") >= 3)


@pytest.mark.full
async def test_the_clock_goes_on_after_redis_has_lost_all_that_it_held(
    start_worker: StartWorker, bus: Bus, redis_url: str
) -> None:
    start_worker()
    await expect_said(bus, lambda said: said.count("reap") >= 2)
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    await expect_said(bus, lambda said: said.count("reap") >= 2)


async def test_a_connection_that_broke_is_closed_and_keeps_what_it_had_fetched(redis_url: str) -> None:
    """As Celery leaves the connection when Redis disappears. An error of ``close`` would end the worker."""
    app = create_celery(redis_url, Celery)
    app.send_task("probe.say", kwargs={"word": "kept"})
    connection = app.connection_for_read()
    channel: Any = connection.default_channel
    assert channel.basic_get(QUEUE_NAME)
    connection.transport.client = None
    connection.close()
    app.close()
    async with Redis.from_url(redis_url) as redis:
        assert await redis.exists("unacked")


async def test_a_queue_that_is_gone_is_named_within_seconds(redis_url: str) -> None:
    queue = Queue(redis_url.rpartition(":")[0] + ":1/0")
    async with asyncio.timeout(20):
        with pytest.raises(ServiceUnavailableError):
            await queue.enqueue("probe.say", word="lost")
    queue.close()


class TestLostServer:
    @pytest.fixture
    async def embedded(self, tmp_path: Path) -> AsyncIterator[EmbeddedServices]:
        async with EmbeddedServices(tmp_path / "data") as embedded:
            yield embedded

    @pytest.mark.full
    async def test_a_server_that_stands_still_is_named_and_work_is_handed_out_when_it_goes_on(
        self, embedded: EmbeddedServices
    ) -> None:
        queue = Queue(embedded.redis_url)
        await queue.enqueue("probe.say", word="before")
        valkey = embedded._valkey
        assert valkey is not None
        assert valkey.process is not None
        valkey.process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(STANDSTILL_NAMED_WITHIN_S):
                with pytest.raises(ServiceUnavailableError):
                    await queue.enqueue("probe.say", word="meanwhile")
        finally:
            valkey.process.send_signal(signal.SIGCONT)
        await queue.enqueue("probe.say", word="after")
        queue.close()

    async def test_worker_and_clock_go_on_when_valkey_is_back(
        self, embedded: EmbeddedServices, start_worker: StartWorker
    ) -> None:
        worker = start_worker(REDIS_URL=embedded.redis_url)
        bus, queue = Bus(embedded.redis_url), Queue(embedded.redis_url)
        await expect_said(bus, lambda said: said.count("reap") >= 2)
        valkey = embedded._valkey
        assert valkey is not None
        assert valkey.process is not None
        valkey.process.kill()
        valkey.process.wait()
        await embedded.revive()
        await bus.delete(STREAM)
        await queue.enqueue("probe.say", word="again")
        await expect_said(bus, lambda said: "again" in said and said.count("reap") >= 2)
        assert worker.poll() is None
        queue.close()
        await bus.close()


@pytest.mark.full
async def test_a_clock_that_is_set_back_does_not_hold_up_the_schedule(
    start_worker: StartWorker, bus: Bus, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0", encoding="ascii")
    start_worker(clock=clock)
    await expect_said(bus, lambda said: said.count("reap") >= 2)
    clock.write_text("-3600", encoding="ascii")
    await bus.delete(STREAM)
    await expect_said(bus, lambda said: said.count("reap") >= 2)


@pytest.mark.full
async def test_the_next_beat_need_not_wait_for_the_hour_of_one_whose_clock_was_ahead(
    start_worker: StartWorker, bus: Bus, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("3600", encoding="ascii")
    ahead = start_worker(clock=clock)
    await expect_said(bus, lambda said: said.count("reap") >= 2)
    start_worker()
    ahead.kill()
    ahead.wait()
    await bus.delete(STREAM)
    await expect_said(bus, lambda said: said.count("reap") >= 3)
