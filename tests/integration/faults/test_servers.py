"""Valkey and PostgreSQL are killed during a job and come back: the job is done, and viewers see each event once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from lxc_dashboard.db import migrate
from lxc_dashboard.db.models import JobState
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.jobs.events.follow import follow
from lxc_dashboard.services.jobs.events.lines import ProgressEvent
from lxc_dashboard.settings import Timing
from tests.integration.faults.conftest import open_lab
from tests.integration.faults.lab import RECOVERY_S, AskedJob, Lab
from tests.integration.faults.templates import LINES
from tests.worded import worded

pytestmark = pytest.mark.asyncio(loop_scope="module")

POSTGRES = "postgres"
VALKEY = "valkey"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServices]:
    """Durable servers, as in production: committed data survives a kill."""
    async with EmbeddedServices(tmp_path_factory.mktemp("servers"), durable=True) as embedded:
        migrate.upgrade(embedded.database_url)
        yield embedded


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(
    servers: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory, timing: Timing
) -> AsyncIterator[Lab]:
    folder = tmp_path_factory.mktemp("faults")
    async with open_lab(folder, servers.database_url, servers.redis_url, timing) as opened:
        yield opened


def kill(servers: EmbeddedServices, name: str) -> None:
    server = next(server for server in servers._servers() if server.name == name)
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


async def revive(servers: EmbeddedServices, name: str) -> None:
    assert await servers.revive() == [name]


@asynccontextmanager
async def viewer(lab: Lab, job: AskedJob) -> AsyncIterator[asyncio.Task[list[ProgressEvent]]]:
    """Follow the job from the start of the block to the end of the job."""
    seen: list[ProgressEvent] = []

    async def watch() -> list[ProgressEvent]:
        async for batch in follow(lab.rt, job.id):
            seen.extend(map(worded, batch))
        return seen

    task = asyncio.create_task(watch())
    try:
        await lab.until(lambda: bool(seen), "somebody watches")
        yield task
    finally:
        task.cancel()


async def check_viewer(lab: Lab, job: AskedJob, watching: asyncio.Task[list[ProgressEvent]]) -> None:
    """Check that the viewer saw the stored lines, each once and in order."""
    async with asyncio.timeout(RECOVERY_S):
        seen = await watching
    assert numbered(seen) == numbered(await lab.events(job))


def numbered(events: Iterable[ProgressEvent]) -> list[tuple[int, str]]:
    return [(event.seq + at, line) for event in events for at, line in enumerate(event.message.split("\n"))]


@pytest.mark.full
async def test_a_run_goes_on_without_valkey_and_what_a_program_asked_meanwhile_is_made_afterwards(
    lab: Lab, servers: EmbeddedServices
) -> None:
    await lab.need_worker()
    job, program = await lab.in_the_first_script(), await lab.token()
    async with viewer(lab, job) as watching:
        kill(servers, VALKEY)
        await lab.go(job, "first", "second")
        await lab.until_state(job, JobState.DONE)
        with pytest.raises(ServiceUnavailableError):
            await lab.request()  # without Valkey, whether the session has ended is unknown
        asked = await lab.request(caller=program)
        await revive(servers, VALKEY)
        await lab.until_state(asked, JobState.DONE, within_s=RECOVERY_S)
        await check_viewer(lab, job, watching)
    await lab.check_nothing_lost_or_repeated(job)
    await lab.check_nothing_lost_or_repeated(asked)


async def test_valkey_comes_back_in_the_middle_of_a_run(lab: Lab, servers: EmbeddedServices) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    async with viewer(lab, job) as watching:
        kill(servers, VALKEY)
        await lab.go(job, "first")
        await lab.until_said(job, f"second line {LINES}")
        await revive(servers, VALKEY)
        await lab.go(job, "second")
        await lab.until_state(job, JobState.DONE)
        await check_viewer(lab, job, watching)
    await lab.check_nothing_lost_or_repeated(job)


@pytest.mark.parametrize(
    "leases", [0, pytest.param(1.1, marks=pytest.mark.full)], ids=["shortly", "longer than the lease"]
)
async def test_what_is_printed_while_postgresql_is_away_is_stored_when_it_is_back(
    lab: Lab, servers: EmbeddedServices, leases: float
) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    loop = asyncio.get_running_loop()
    async with viewer(lab, job) as watching:
        kill(servers, POSTGRES)
        back_at = loop.time() + leases * lab.rt.timing.lease_s
        await lab.go(job, "first")
        await lab.until_over(job, "first")
        await lab.until(lambda: loop.time() >= back_at, "it was away long enough")
        await revive(servers, POSTGRES)
        await lab.go(job, "second")
        await lab.until_state(job, JobState.DONE, within_s=RECOVERY_S)
        await check_viewer(lab, job, watching)
    await lab.check_nothing_lost_or_repeated(job)


@pytest.mark.full
async def test_both_die_at_once(lab: Lab, servers: EmbeddedServices) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    kill(servers, POSTGRES)
    kill(servers, VALKEY)
    await lab.go(job, "first", "second")
    await lab.until_over(job, "first")
    assert sorted(await servers.revive()) == [POSTGRES, VALKEY]
    await lab.until_state(job, JobState.DONE, within_s=RECOVERY_S)
    await lab.check_nothing_lost_or_repeated(job)
