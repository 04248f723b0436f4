"""A watched job is followed to its end, and again after a retry. Runs without servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Job, JobEvent, JobState, now
from lxc_dashboard.db.repositories.jobs import Standing
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.services.jobs.events import follow as watching
from lxc_dashboard.services.jobs.events.follow import watch
from tests.unit.services.creation.doubles import Saying, always, database

ID = uuid4()
AWAY = ServiceUnavailableError("PostgreSQL does not answer")
GONE = NotFoundError()
WITHIN_S = 60
RUNNING, READY, FAILED, QUEUED = JobState.RUNNING, JobState.DONE, JobState.FAILED, JobState.QUEUED


def job(state: JobState, attempt: int = 1) -> Job:
    return Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        id=ID,
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        state=state,
        attempt=attempt,
    )


def event(seq: int, kind: str) -> JobEvent:
    return JobEvent(
        job_id=ID, seq=seq, lines=1, type=kind, step="creating", percent=5, message=f"{kind} {seq}", at=now()
    )


async def seen(*looks: Job | Exception, told: list[list[JobEvent]]) -> list[list[str]]:
    """What a watcher gets. ``looks``: the row at each read. ``told``: the events at each read."""
    look = Saying(*looks)

    async def standings(ids: Sequence[UUID]) -> dict[UUID, Standing]:
        return {ID: Standing((await look()).state, None, now())}

    rows = database(jobs=SimpleNamespace(get=look, standings=standings), events=SimpleNamespace(after=Saying(*told)))
    rt: Any = SimpleNamespace(db=rows, bus=SimpleNamespace(last_id=always("0-0")))
    async with asyncio.timeout(WITHIN_S):
        return [[each.message for each in batch] async for batch in watch(rt, ID, 0)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_AGAIN_S", 0.0)


async def test_a_job_that_ends_is_told_to_its_end_and_its_page_looks_once_more() -> None:
    looks = [job(RUNNING), job(READY)]
    assert await seen(*looks, told=[[event(1, "complete")], []]) == [["complete 1"], [], []]


async def test_a_failed_job_that_is_retried_is_told_on_from_where_it_failed() -> None:
    failed = [job(FAILED)] * 3  # read before ``follow``, in it, and after it
    retried = [job(QUEUED, 2), job(READY, 2)]
    told = [[event(1, "error")], [event(1, "error"), event(2, "complete")]]
    assert await seen(*failed, *retried, told=told) == [["error 1"], [], ["complete 2"], []]


async def test_a_job_that_is_gone_is_watched_no_more() -> None:
    assert await seen(GONE, told=[[]]) == []
    assert await seen(job(FAILED), job(FAILED), GONE, told=[[event(1, "error")]]) == [["error 1"], []]


async def test_a_database_that_is_away_ends_no_watch() -> None:
    assert await seen(AWAY, job(READY), told=[[event(1, "complete")]]) == [["complete 1"], []]
