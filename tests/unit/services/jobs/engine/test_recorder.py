"""A job's events when the database or lease fails: none is lost or stored twice, and no caller waits forever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from lxc_dashboard.db.models import Phase, now
from lxc_dashboard.db.repositories.events import NumberedEvent
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.jobs.engine import recorder as recorder_module
from lxc_dashboard.services.jobs.engine.recorder import RENEWALS, LeaseLostError, Recorder
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import Saying, always, database

ID = uuid4()
AWAY = ServiceUnavailableError("PostgreSQL does not answer")
NOT_HELD = ConflictError("The lease is gone")
WITHIN_S = 60
BUFFER_CHARS = 100


def row(seq: int, message: str) -> NumberedEvent:
    return NumberedEvent(ID, seq, 1, "step", "creating", 0, message, "", 0, 0, now())


class Journal:
    """Stores a batch once ``may_take`` is set, with the result of ``ends``."""

    def __init__(self, ends: Callable[..., Any]) -> None:
        self._ends = ends
        self.may_take = asyncio.Event()
        self.may_take.set()

    def hurry(self) -> None:
        pass

    async def write(self, take: Callable[[], object], *, at_once: bool) -> Any:
        await self.may_take.wait()
        return await self._ends(take(), at_once)


@asynccontextmanager
async def recording(
    journal: Journal, *, renew: object = None, **events: object
) -> AsyncIterator[tuple[Recorder, list[list[bytes]]]]:
    """A started recorder, and the entries that it passed on."""
    passed: list[list[bytes]] = []
    rt: Any = SimpleNamespace(
        db=database(events=SimpleNamespace(**{"last_seq": always(0), **events}), leases=SimpleNamespace(renew=renew)),
        journal=journal,
        outbox=SimpleNamespace(put=lambda _, entries: passed.append(entries), sent=always(False)),
    )
    recorder = Recorder(rt, ID, "me", Checkpoint(), 10.0)
    async with asyncio.timeout(WITHIN_S):
        await recorder.start(Phase.CREATING, 0)
        try:
            yield recorder, passed
        finally:
            await recorder.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "BUFFER_CHARS", BUFFER_CHARS)
    monkeypatch.setattr(recorder_module, "RETRY_S", (0.0,))


async def test_what_was_stored_when_the_connection_broke_is_not_stored_again() -> None:
    append = Saying([])
    there = {"last_seq": Saying(0, 1), "renew": always(True), "after": always([row(1, "Created")])}
    async with recording(Journal(always(AWAY)), append=append, **there) as (recorder, passed):
        recorder.tell(CreationCode.HELPERS_INSTALLED)
        await recorder.flush()
    assert append.calls == 0
    assert [b"Created" in entries[0] for entries in passed] == [True]


async def test_what_was_stored_is_another_workers_where_the_lease_cannot_be_renewed() -> None:
    theirs = always([row(1, "Theirs")])
    there = {"last_seq": Saying(0, 1), "renew": always(False), "after": theirs}
    async with recording(Journal(always(AWAY)), **there) as (recorder, passed):
        recorder.tell(CreationCode.HELPERS_INSTALLED)
        with pytest.raises(LeaseLostError):
            await recorder.flush()
    assert passed == []


async def test_a_lease_that_ran_out_while_the_database_was_away_is_taken_again() -> None:
    append = Saying(NOT_HELD, [row(1, "Created")])
    async with recording(Journal(always(AWAY)), append=append, renew=always(True)) as (recorder, passed):
        recorder.tell(CreationCode.HELPERS_INSTALLED)
        await recorder.flush()
    assert (append.calls, len(passed)) == (2, 1)


@pytest.mark.parametrize(("renewed", "renewals"), [(False, 1), (True, RENEWALS)])
async def test_a_lease_that_is_another_ones_ends_the_run_here(renewed: bool, renewals: int) -> None:
    renew = Saying(renewed)
    lost = always(NOT_HELD)
    async with recording(Journal(lost), append=lost, renew=renew) as (recorder, _):
        recorder.tell(CreationCode.HELPERS_INSTALLED)
        with pytest.raises(LeaseLostError):
            await recorder.flush()
        with pytest.raises(LeaseLostError):
            recorder.tell(CreationCode.INIT_UP)
    assert renew.calls == renewals


async def test_where_what_was_told_cannot_be_stored_nobody_waits_for_it() -> None:
    journal = Journal(always(ValueError("unfit")))
    async with recording(journal) as (recorder, _):
        journal.may_take.clear()
        waiting = [recorder.flush(), recorder.log(["x" * (BUFFER_CHARS + 1)])]
        tasks = [asyncio.create_task(each) for each in waiting]
        await asyncio.sleep(0)
        journal.may_take.set()
        with capture_logs() as logged:
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [entry["event"] for entry in logged] == ["progress not written"]
    assert [type(end) for end in ends] == [LeaseLostError, LeaseLostError]


async def test_output_waits_while_too_much_of_it_is_unwritten() -> None:
    journal = Journal(always([]))
    async with recording(journal) as (recorder, _):
        journal.may_take.clear()
        task = asyncio.create_task(recorder.log(["x" * (BUFFER_CHARS + 1)]))
        for _turn in range(8):
            await asyncio.sleep(0)
        assert not task.done()
        journal.may_take.set()
        await task


async def test_output_that_comes_while_other_output_is_written_waits_for_its_own_turn() -> None:
    turns = asyncio.Semaphore(0)

    async def store(*_: object) -> list[NumberedEvent]:
        await turns.acquire()
        return []

    async with recording(Journal(store)) as (recorder, _):
        first = asyncio.create_task(recorder.flush())
        for _turn in range(8):
            await asyncio.sleep(0)
        task = asyncio.create_task(recorder.log(["x" * (BUFFER_CHARS + 1)]))
        await asyncio.sleep(0)
        turns.release()
        await first
        assert not task.done()
        turns.release()
        await task


async def test_what_is_not_passed_on_in_time_holds_up_no_end() -> None:
    async with recording(Journal(always([]))) as (recorder, passed):
        await recorder.pass_on([row(1, "Ready")])
    assert len(passed) == 1


async def test_a_recorder_that_could_not_begin_can_be_closed() -> None:
    rt: Any = SimpleNamespace(db=database(events=SimpleNamespace(last_seq=always(AWAY))))
    recorder = Recorder(rt, ID, "me", Checkpoint(), 10.0)
    with pytest.raises(ServiceUnavailableError):
        await recorder.start(Phase.CREATING, 0)
    await recorder.close()
