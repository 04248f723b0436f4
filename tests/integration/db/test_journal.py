"""The journal stores the events of many jobs in one transaction. A job's failure affects no other job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.journal import Journal
from lxc_dashboard.db.models import Container, EventType, Job, Phase
from lxc_dashboard.db.repositories.events import Batch, NewEvent
from lxc_dashboard.errors import DashboardError, LeaseGoneError, ServiceUnavailableError
from lxc_dashboard.settings import Timing
from tests.integration.db.counted import Counted
from tests.integration.db.runs import queued

OWNER = "a"
RUNS = 6


class Fatal(BaseException):
    """An error that the journal does not handle."""


@pytest.fixture
def counted(database: DatabaseService) -> Counted:
    return Counted(database)


@pytest.fixture
async def journal(counted: Counted) -> AsyncIterator[Journal]:
    kept = Journal(cast("DatabaseService", counted), Timing())
    yield kept
    await kept.close()


@pytest.fixture
async def runs(database: DatabaseService, container: Container) -> list[Job]:
    made = await queued(database, container, ["root@pam"] * RUNS)
    async with database.transaction() as tx:
        for row in made:
            await tx.leases.acquire(row.id, OWNER, 60)
    return made


def says(run: Job, *messages: str, owner: str = OWNER, checkpoint: dict[str, Any] | None = None) -> Callable[[], Batch]:
    told = [NewEvent(EventType.LOG, Phase.SYNCING, 70, text, lines=text.count("\n") + 1) for text in messages]
    return lambda: Batch(run.id, owner, told, checkpoint)


async def stored(database: DatabaseService, run: Job) -> list[tuple[int, str]]:
    async with database.transaction() as tx:
        return [(row.seq, row.message) for row in await tx.events.after(run.id, 0)]


async def test_what_many_runs_tell_at_once_is_one_transaction(
    database: DatabaseService, counted: Counted, journal: Journal, runs: list[Job]
) -> None:
    for turn in range(2):
        wrote = (
            journal.write(says(run, f"{n}\n{turn}", "last", checkpoint={"run": n, "turn": turn}), at_once=False)
            for n, run in enumerate(runs)
        )
        rows = await asyncio.gather(*wrote)
        assert [[row.seq for row in of_run] for of_run in rows] == [[1 + 3 * turn, 3 + 3 * turn]] * RUNS
        assert counted.begun == turn + 1
    for n, run in enumerate(runs):
        assert await stored(database, run) == [(1, f"{n}\n0"), (3, "last"), (4, f"{n}\n1"), (6, "last")]
        async with database.transaction() as tx:
            found = await tx.jobs.get(run.id)
        assert (found.checkpoint, found.step, found.percent) == ({"run": n, "turn": 1}, "syncing", 70)


async def test_a_run_whose_lease_is_gone_is_told_so_and_the_others_are_stored(
    database: DatabaseService, journal: Journal, runs: list[Job]
) -> None:
    late, same, *others = runs
    results = await asyncio.gather(
        journal.write(says(late, "late", owner="former"), at_once=False),
        journal.write(says(same, "former", owner="former"), at_once=False),
        journal.write(says(same, "mine"), at_once=False),
        *(journal.write(says(run, "told"), at_once=False) for run in others),
        return_exceptions=True,
    )
    assert [type(result) for result in results[:2]] == [LeaseGoneError, LeaseGoneError]
    assert await stored(database, late) == []
    assert await stored(database, same) == [(1, "mine")]
    assert [await stored(database, run) for run in others] == [[(1, "told")]] * len(others)


async def test_what_cannot_be_stored_of_one_run_is_not_the_others_fault(
    database: DatabaseService, journal: Journal, runs: list[Job]
) -> None:
    def unfit() -> Batch:
        return Batch(runs[0].id, OWNER, [NewEvent(EventType.LOG, Phase.SYNCING, 101, "past the end")])

    results = await asyncio.gather(
        journal.write(unfit, at_once=False),
        *(journal.write(says(run, "told"), at_once=False) for run in runs[1:]),
        return_exceptions=True,
    )
    assert isinstance(results[0], DashboardError)
    assert [await stored(database, run) for run in runs] == [[], *[[(1, "told")]] * (RUNS - 1)]


async def test_what_one_run_cannot_tell_is_not_the_others_fault(
    database: DatabaseService, counted: Counted, journal: Journal, runs: list[Job]
) -> None:
    def unable() -> Batch:
        raise ValueError("nothing to tell")

    async with asyncio.timeout(60):
        results = await asyncio.gather(
            journal.write(unable, at_once=False),
            *(journal.write(says(run, "told"), at_once=False) for run in runs[1:]),
            return_exceptions=True,
        )
        with pytest.raises(ValueError, match="nothing to tell"):
            await journal.write(unable, at_once=True)
    assert str(results[0]) == "nothing to tell"
    assert [await stored(database, run) for run in runs] == [[], *[[(1, "told")]] * (RUNS - 1)]
    assert counted.begun == 1


@pytest.mark.parametrize("end", ["a fault of ours", "the end of the process"])
async def test_whatever_ends_the_writing_nobody_is_left_waiting(
    database: DatabaseService, counted: Counted, journal: Journal, runs: list[Job], end: str
) -> None:
    counted.goes_on.clear()
    taken = asyncio.create_task(journal.write(says(runs[0], "taken"), at_once=False))
    while not counted.begun:
        await asyncio.sleep(0)
    waits = asyncio.create_task(journal.write(says(runs[1], "waits"), at_once=False))
    await asyncio.sleep(0)
    if end == "a fault of ours":
        counted.refusal = Fatal()
        counted.goes_on.set()
    else:
        await journal.close()
    async with asyncio.timeout(60):
        results = await asyncio.gather(taken, waits, return_exceptions=True)
    wanted = Fatal if end == "a fault of ours" else asyncio.CancelledError
    assert [type(result) for result in results] == [wanted, wanted]
    counted.refusal = None
    counted.goes_on.set()
    await journal.write(says(runs[2], "after"), at_once=True)
    assert await stored(database, runs[2]) == [(1, "after")]


async def test_closed_before_it_began_it_leaves_nobody_waiting(journal: Journal, runs: list[Job]) -> None:
    waiting = asyncio.create_task(journal.write(says(runs[0], "waits"), at_once=False))
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.wait([waiting], timeout=60)
    assert waiting.cancelled()


async def test_a_database_that_is_away_is_told_to_each(counted: Counted, journal: Journal, runs: list[Job]) -> None:
    counted.refusal = ServiceUnavailableError("away")
    wrote = (journal.write(says(run, "told"), at_once=False) for run in runs)
    results = await asyncio.gather(*wrote, return_exceptions=True)
    assert results == [counted.refusal] * RUNS
    assert counted.begun == 1


async def test_who_gives_up_before_his_turn_is_not_asked_what_he_tells(
    database: DatabaseService, counted: Counted, journal: Journal, runs: list[Job]
) -> None:
    counted.goes_on.clear()
    first = asyncio.create_task(journal.write(says(runs[0], "first"), at_once=False))
    while not counted.begun:
        await asyncio.sleep(0)
    asked: list[str] = []
    given_up = asyncio.create_task(journal.write(lambda: asked.append("asked") or says(runs[1])(), at_once=False))  # type: ignore[func-returns-value]
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    counted.goes_on.set()
    await first
    await journal.write(says(runs[2], "after"), at_once=False)
    assert asked == []
    assert await stored(database, runs[2]) == [(1, "after")]


@pytest.mark.parametrize("hurries", ["who writes", "who waits"])
async def test_who_is_in_a_hurry_ends_the_pause(database: DatabaseService, runs: list[Job], hurries: str) -> None:
    journal = Journal(database, Timing(journal_pause_s=60, longest_journal_pause_s=60))
    await journal.write(says(runs[0], "first"), at_once=False)
    waits = asyncio.create_task(journal.write(says(runs[0], "second"), at_once=False))
    await asyncio.sleep(0)
    async with asyncio.timeout(50):
        if hurries == "who waits":
            journal.hurry()
        else:
            await journal.write(says(runs[1], "other"), at_once=True)
        assert [row.seq for row in await waits] == [2]
    await journal.close()


async def test_what_postgresql_refuses_in_a_text_is_replaced_wherever_it_stands(
    database: DatabaseService, journal: Journal, runs: list[Job]
) -> None:
    text = 'a NUL \0, half a pair \ud83d, a whole \U0001f600, "quoted" \\u0000 {1,2} NULL'
    told = text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\ud83d", "\N{REPLACEMENT CHARACTER}")
    for run, said in ((runs[0], text), (runs[1], text.replace("\ud83d", "")), (runs[2], text.replace("\0", ""))):
        (row,) = await journal.write(says(run, said, checkpoint={"facts": {said: [said, 1.5, None]}}), at_once=True)
        assert await stored(database, run) == [(1, row.message)]
        async with database.transaction() as tx:
            found = (await tx.jobs.get(run.id)).checkpoint
        assert found == {"facts": {row.message: [row.message, 1.5, None]}}
    async with database.transaction() as tx:
        (whole,) = await tx.events.after(runs[0].id, 0)
    assert whole.message.replace("\N{REPLACEMENT CHARACTER}", "") == told.replace("\N{REPLACEMENT CHARACTER}", "")
