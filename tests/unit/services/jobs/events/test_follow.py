"""Each line arrives once and in order, with any content and timing of the stream and the database."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import JobEvent, JobState, now
from lxc_dashboard.db.repositories.jobs import Standing
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.services.jobs.events import follow as following
from lxc_dashboard.services.jobs.events.follow import PAGE, SILENT_READS, follow
from lxc_dashboard.services.jobs.events.lines import encode, of_row
from tests.unit.services.creation.doubles import Saying, database

ID = uuid4()
AWAY = ServiceUnavailableError("It does not answer")
WITHIN_S = 60
Entries = list[tuple[str, bytes]]


def job(state: JobState) -> dict[UUID, Standing]:
    return {ID: Standing(state, None, now())}


RUNNING, READY = job(JobState.RUNNING), job(JobState.DONE)


def row(seq: int, kind: str = "step") -> JobEvent:
    return JobEvent(job_id=ID, seq=seq, lines=1, type=kind, step="creating", percent=5, message=str(seq), at=now())


def rows(*seqs: int) -> list[JobEvent]:
    return [row(seq) for seq in seqs]


def entry(seq: int, kind: str = "step") -> tuple[str, bytes]:
    return f"{seq}-0", encode(of_row(row(seq, kind)))


async def seen(
    *looks: dict[UUID, Standing] | Exception,
    stored: list[list[JobEvent] | Exception],
    streamed: list[Entries | Exception],
    newest: list[str | Exception] | None = None,
) -> list[list[str]]:
    """What a viewer gets. ``looks``, ``stored`` and ``streamed``: the results of consecutive reads of each."""
    jobs, events = SimpleNamespace(standings=Saying(*looks)), SimpleNamespace(after=Saying(*stored))
    bus = SimpleNamespace(last_id=Saying(*(newest or ["0-0"])), read_after=Saying(*streamed))
    rt: Any = SimpleNamespace(db=database(jobs=jobs, events=events), bus=bus)
    async with asyncio.timeout(WITHIN_S):
        return [[each.message for each in batch] async for batch in follow(rt, ID)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_WITHOUT_REDIS_S", 0.0)
    monkeypatch.setattr(following, "DATABASE_AWAY_S", 0.0)


async def test_what_the_stream_repeats_is_told_once_and_what_it_lost_comes_from_the_database() -> None:
    streamed: list[Entries | Exception] = [[entry(1)], [entry(2)], [entry(5)]]
    found = await seen(RUNNING, READY, stored=[rows(1), rows(3, 4, 5)], streamed=streamed)
    assert found == [["1"], ["2"], ["3", "4", "5"]]


async def test_a_gap_within_what_the_stream_gives_at_once_is_filled_before_what_follows_it() -> None:
    streamed: list[Entries | Exception] = [[entry(1), entry(2), entry(4)]]
    assert await seen(RUNNING, READY, stored=[[], rows(3, 4)], streamed=streamed) == [["1", "2"], ["3", "4"]]


async def test_the_end_in_the_stream_has_the_database_asked_whether_that_is_all() -> None:
    streamed: list[Entries | Exception] = [[entry(1, "complete")]]
    assert await seen(RUNNING, READY, stored=[[]], streamed=streamed) == [["1"]]


@pytest.mark.parametrize("nothing", [[("1-0", b"{")], AWAY])
async def test_a_stream_that_is_not_understood_or_away_holds_nothing_up(nothing: Any) -> None:
    assert await seen(RUNNING, READY, stored=[[], rows(1)], streamed=[nothing], newest=["0-0", AWAY]) == [["1"]]


async def test_a_stream_that_is_silent_for_a_while_has_the_database_asked() -> None:
    streamed: list[Entries | Exception] = [[], [], [entry(1)], *[[]] * SILENT_READS]
    assert await seen(RUNNING, READY, stored=[[], rows(2)], streamed=streamed) == [["1"], ["2"]]


async def test_a_job_that_is_not_there_any_more_is_followed_no_further() -> None:
    with pytest.raises(NotFoundError):
        await seen({}, stored=[], streamed=[])


async def test_without_the_stream_the_database_is_asked_again_and_again() -> None:
    looks = [RUNNING, RUNNING, RUNNING, READY]
    stored: list[list[JobEvent] | Exception] = [rows(1), [], rows(2), rows(3)]
    assert await seen(*looks, stored=stored, streamed=[AssertionError()], newest=[AWAY]) == [["1"], ["2"], ["3"]]


async def test_a_database_that_is_away_is_waited_for() -> None:
    assert await seen(AWAY, READY, stored=[AWAY, rows(1)], streamed=[[]]) == [["1"]]


async def test_a_long_log_is_read_a_page_at_a_time() -> None:
    pages: list[list[JobEvent] | Exception] = [rows(*range(1, PAGE + 1)), rows(PAGE + 1)]
    assert [len(batch) for batch in await seen(READY, stored=pages, streamed=[[]])] == [PAGE, 1]
