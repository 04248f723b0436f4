"""When a job retries a phase, continues or ends, by PVE, the database and its lease. All three are doubles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from lxc_dashboard.db.models import CREATE_KIND, EventType, Job, JobState, Phase, now
from lxc_dashboard.db.repositories.jobs import Standing
from lxc_dashboard.errors import (
    ConflictError,
    LeaseGoneError,
    ServiceUnavailableError,
    SessionExpiredError,
    UnreachableError,
)
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.kind import CREATION
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine.execution import Interruption
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError
from lxc_dashboard.services.jobs.engine.run import Checkpoint, Guest
from lxc_dashboard.services.jobs.kinds import Step
from lxc_dashboard.settings import Timing
from tests.unit.services.creation.doubles import Saying, always, database, tells

SILENT = UnreachableError("pve1 cannot be reached")
WITHIN_S = 60
TURNS = 8


def standing(**changes: Any) -> Standing:
    """The state of a job's row at a later check."""
    return Standing(**{"state": "running", "ticket_enc": "x", "signed_in_at": now(), **changes})


def held(*seen: Standing | Exception, renewed: bool = True, cancel: bool = False) -> engine.Execution:
    """A job that a worker holds. ``seen``: its row at each check, the last one repeatedly."""
    creation = Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        id=uuid4(),
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        checkpoint={},
        ticket_enc="x",
    )
    creation.signed_in_at, creation.state = now(), "cancelling" if cancel else "running"
    looks = Saying(*seen)

    async def look(_: object) -> Any:
        await asyncio.sleep(0)
        return await looks()

    timing = Timing(check_ticket_every_s=0)
    rt: Any = SimpleNamespace(standings=SimpleNamespace(next=look), timing=timing)
    lease: Any = SimpleNamespace(owner="me", lost=asyncio.Event(), renew=always(renewed))
    return engine.Execution(rt, creation, lease, CREATION)


def step_of(work: Saying) -> Step[Any]:
    return Step("creating", work, CreationCode.CREATING)


def context(version: Saying | None = None) -> Any:
    told: list[tuple[EventType, str]] = []
    return SimpleNamespace(
        job_id=uuid4(),
        checkpoint=Checkpoint(),
        guest=Guest(101, "pve1", "marker"),
        entrance=None,
        client=SimpleNamespace(version=version),
        **tells(told, kinds=True),
        told=told,
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BACKOFF_S", (0.0,))


async def test_a_phase_that_is_not_answered_in_all_that_time_ends_with_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CREATION, "patience_s", 0.0)
    job, phase = context(), Saying(SILENT)
    with pytest.raises(UnreachableError):
        await held()._patiently(job, step_of(phase))
    assert job.told == [(EventType.WARNING, "pve1 cannot be reached: trying again")]


async def test_a_phase_that_gets_nowhere_is_tried_again_and_told_of_once() -> None:
    job, phase = context(), Saying(SILENT, SILENT, SILENT, None)
    await held()._patiently(job, step_of(phase))
    assert phase.calls == 4
    assert len(job.told) == 1


async def test_what_no_time_mends_is_not_tried_again() -> None:
    phase = Saying(ConflictError("Taken"))
    with pytest.raises(ConflictError):
        await held()._patiently(context(), step_of(phase))
    assert phase.calls == 1


async def test_a_lease_that_merely_ran_out_is_held_again_and_the_phase_goes_on() -> None:
    phase = Saying(LeaseGoneError(), None)
    await held()._held_through(context(), step_of(phase))
    assert phase.calls == 2


async def test_a_run_that_another_worker_has_by_now_is_left_to_that_one() -> None:
    phase = Saying(LeaseGoneError(), None)
    with pytest.raises(LeaseLostError):
        await held(renewed=False)._held_through(context(), step_of(phase))
    assert phase.calls == 1


async def test_a_ticket_that_pve_takes_no_more_ends_the_work_and_a_pve_that_is_silent_does_not() -> None:
    version = Saying(SILENT, None, SessionExpiredError())
    run = held()
    run._run = context(version)
    async with asyncio.timeout(WITHIN_S):
        await run._until_ticket_ends()
    assert version.calls == 3


async def test_a_ticket_that_pve_takes_no_more_has_the_run_wait_for_a_sign_in() -> None:
    run = held(standing())
    run._run = context(Saying(SessionExpiredError()))
    async with asyncio.timeout(WITHIN_S):
        assert await run._watch() is Interruption.SIGN_IN


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "cancelling"}, Interruption.CANCEL),
        ({"ticket_enc": None}, Interruption.SIGN_IN),
        ({"signed_in_at": datetime(2026, 1, 1, tzinfo=UTC)}, Interruption.SIGN_IN),
    ],
)
async def test_what_others_do_to_a_run_interrupts_it(changes: dict[str, Any], why: Interruption) -> None:
    async with asyncio.timeout(WITHIN_S):
        assert await held(standing(**changes))._watch() is why


async def test_a_run_whose_lease_is_lost_is_interrupted_whatever_else_there_is() -> None:
    run = held(cancel=True)
    run._lease.lost.set()
    assert await run._watch() is Interruption.LEASE_LOST


async def test_a_database_that_is_away_interrupts_nothing() -> None:
    run = held(ServiceUnavailableError("away"), standing(ticket_enc=None))
    async with asyncio.timeout(WITHIN_S):
        assert await run._watch() is Interruption.SIGN_IN


async def test_a_run_that_has_just_ended_is_not_interrupted_for_its_ticket_that_is_wiped() -> None:
    watch = asyncio.create_task(held(standing(state=JobState.DONE.value, ticket_enc=None))._watch())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


async def test_a_run_that_another_worker_has_ends_without_a_word() -> None:
    for lost in (LeaseGoneError(), LeaseLostError()):
        with pytest.raises(LeaseLostError):
            await held()._failed(lost)
    with pytest.raises(LeaseLostError):
        await held()._interrupted(Interruption.LEASE_LOST)


async def test_a_fault_of_ours_ends_the_run_and_only_the_log_names_it() -> None:
    run, ends = held(), list[dict[str, Any]]()

    async def write(take: Callable[[], object], **_: object) -> list[object]:
        take()
        return []

    async def finish(*_: object, error: dict[str, Any], **__: object) -> Job:
        ends.append(error)
        return run._job

    named = SimpleNamespace(vmid=101, hostname="web", name="pve")
    rt: Any = run._rt
    rt.db = database(
        jobs=SimpleNamespace(finish=finish),
        events=SimpleNamespace(last_seq=always(0), append=always([])),
        containers=SimpleNamespace(
            set_lifecycle=always(None), add_event=always(None), get=always(named), mark_lost=always(True)
        ),
        nodes=SimpleNamespace(get=always(named)),
        audit=SimpleNamespace(append=always(None)),
    )
    rt.journal = SimpleNamespace(write=write, hurry=bool)
    rt.outbox = SimpleNamespace(put=lambda *_: None, sent=always(True))
    await run._recorder.start(Phase.SYNCING, 70)
    with capture_logs() as logged:
        await run._failed(KeyError("secret"))
    assert [entry["event"] for entry in logged] == ["job broke"]
    assert [(end["code"], end["phase"]) for end in ends] == [(JobCode.BROKE, "syncing")]
    assert "secret" not in str(ends)
