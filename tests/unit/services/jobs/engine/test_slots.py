"""Waiting for a slot, and jobs that continue without waiting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, EventType, Job
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.jobs.engine import slots
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.kinds import StandstillError
from lxc_dashboard.settings import Timing
from tests.unit.services.creation.doubles import Saying, always, database, tells


def run(**takes: object) -> Any:
    told: list[str] = []
    return SimpleNamespace(
        rt=SimpleNamespace(
            db=database(slots=SimpleNamespace(**takes)),
            timing=Timing(),
            settings=SimpleNamespace(CREATES_PER_NODE=2),
            queue=SimpleNamespace(enqueue=Saying(None)),
        ),
        job_id=uuid4(),
        endpoint_id=uuid4(),
        guest=SimpleNamespace(node="pve1"),
        recorder=SimpleNamespace(owner="me", flush=always(None)),
        checkpoint=Checkpoint(),
        holds_slot=False,
        **tells(told),
        told=told,
    )


async def test_a_run_that_others_are_before_is_given_back_and_says_so() -> None:
    job = run(take=always(1), wait_in_line=always(True))
    with pytest.raises(StandstillError):
        await slots.take(job, begun=False)
    assert (job.holds_slot, job.checkpoint.active) == (False, slots.SLOT)
    assert job.told == ["Waits for 1 other on pve1 before its turn comes"]


async def test_a_run_whose_turn_comes_as_it_is_about_to_wait_goes_on() -> None:
    job = run(take=always(2), wait_in_line=always(False))
    await slots.take(job, begun=False)
    assert (job.holds_slot, job.checkpoint.active) == (True, "")


async def test_who_gives_a_slot_back_wakes_the_next_and_gives_it_once() -> None:
    job = run(take=always(0), give=always([uuid4()]))
    await slots.take(job, begun=False)
    for _ in range(2):
        await slots.give(job)
    assert job.rt.queue.enqueue.calls == 1


@pytest.mark.parametrize("settled", [True, False])
async def test_what_was_ended_is_audited_once(settled: bool) -> None:
    append = Saying(None)
    named = SimpleNamespace(vmid=101, hostname="web", name="pve")
    rt: Any = SimpleNamespace(
        db=database(
            tickets=SimpleNamespace(settle=always(settled)),
            containers=SimpleNamespace(get=always(named)),
            nodes=SimpleNamespace(get=always(named)),
            audit=SimpleNamespace(append=append),
        )
    )
    creation = Job(
        kind=CREATE_KIND,
        vmid=101,
        id=uuid4(),
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        step="syncing",
        percent=70,
    )
    assert await settling._write(rt, creation, Message.of(CreationCode.GIVEN_UP), EventType.WARNING) is settled
    assert append.calls == settled
