"""The state of many jobs: one query answers all callers, each with its own job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from lxc_dashboard.db import journal as module
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.journal import Standings
from lxc_dashboard.db.models import Container, Job, JobState, new_id
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from tests.integration.db.counted import Counted
from tests.integration.db.runs import queued

RUNS = 6


@pytest.fixture
def counted(database: DatabaseService, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setattr(module, "EVERY_S", 0.05)
    return Counted(database)


@pytest.fixture
async def standings(counted: Counted) -> AsyncIterator[Standings]:
    asked = Standings(cast("DatabaseService", counted))
    yield asked
    await asked.close()


@pytest.fixture
async def runs(database: DatabaseService, container: Container) -> list[Job]:
    return await queued(database, container, [f"u{number}@pam" for number in range(RUNS)])


async def test_many_are_one_question_and_each_is_told_its_own(
    database: DatabaseService, counted: Counted, standings: Standings, runs: list[Job]
) -> None:
    async with database.transaction() as tx:
        await tx.leases.acquire(runs[0].id, "a", 60)
    told = await asyncio.gather(*(standings.next(run.id) for run in runs))
    assert [standing.state for standing in told] == [JobState.RUNNING.value, *[JobState.QUEUED.value] * 5]
    assert counted.begun == 1


async def test_each_question_is_asked_anew(database: DatabaseService, standings: Standings, runs: list[Job]) -> None:
    assert (await standings.next(runs[0].id)).state == JobState.QUEUED.value
    async with database.transaction() as tx:
        await tx.leases.acquire(runs[0].id, "a", 60)
    assert (await standings.next(runs[0].id)).state == JobState.RUNNING.value


async def test_who_asks_for_none_is_told_and_the_others_too(standings: Standings, runs: list[Job]) -> None:
    gone, there = await asyncio.gather(standings.next(new_id()), standings.next(runs[0].id), return_exceptions=True)
    assert isinstance(gone, NotFoundError)
    assert not isinstance(there, BaseException)


async def test_a_database_that_is_away_is_told_to_all_and_asked_again(
    counted: Counted, standings: Standings, runs: list[Job]
) -> None:
    counted.refusal = ServiceUnavailableError("PostgreSQL does not answer")
    refused = await asyncio.gather(*(standings.next(run.id) for run in runs[:2]), return_exceptions=True)
    assert [type(error) for error in refused] == [ServiceUnavailableError] * 2
    counted.refusal = None
    assert (await standings.next(runs[0].id)).state == JobState.QUEUED.value


async def test_nothing_is_asked_for_those_who_went(counted: Counted, standings: Standings, runs: list[Job]) -> None:
    waiting = [asyncio.create_task(standings.next(run.id)) for run in runs]
    await asyncio.sleep(0)
    for task in waiting[1:]:
        task.cancel()
    assert (await waiting[0]).state == JobState.QUEUED.value
    assert counted.begun == 1
    assert await asyncio.gather(*waiting[1:], return_exceptions=True) != []
    assert all(task.cancelled() for task in waiting[1:])


async def test_closed_it_leaves_nobody_waiting(standings: Standings, runs: list[Job]) -> None:
    waiting = asyncio.create_task(standings.next(runs[0].id))
    await asyncio.sleep(0)
    await standings.close()
    await asyncio.wait([waiting], timeout=60)
    assert waiting.cancelled()
