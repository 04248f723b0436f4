"""A job whose vmid another container has taken continues with the next free vmid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job
from lxc_dashboard.errors import LeaseGoneError
from lxc_dashboard.services.creation.steps import create
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine.run import Checkpoint, Guest
from lxc_dashboard.services.jobs.kinds import BeginAgainError
from tests.unit.services.creation.doubles import Saying, always, database, tells
from tests.unit.services.creation.wish import SPEC

ROW = Container(endpoint_id=uuid4(), vmid=102, node="pve1", hostname="web", created_by="root@pam")


def run(set_vmid: Saying, owner: str = "me") -> Any:
    """A job for CT 101 whose worker is ``owner``. The next free vmid is 102."""
    told: list[str] = []
    creation = Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        lease_owner="me",
    )
    containers = SimpleNamespace(set_vmid=set_vmid, add_event=always(None))
    jobs = SimpleNamespace(
        get=always(creation), reserved_vmids=always(frozenset[int]()), set_vmid=always(None), lock_endpoint=always(None)
    )
    audit = SimpleNamespace(append=always(None))
    return SimpleNamespace(
        rt=SimpleNamespace(
            db=database(jobs=jobs, containers=containers, audit=audit),
        ),
        client=SimpleNamespace(cluster=SimpleNamespace(nextid=always(102), resources=always([]))),
        job_id=uuid4(),
        endpoint_id=uuid4(),
        endpoint_name="pve",
        userid="root@pam",
        spec=SPEC,
        guest=Guest(101, "pve1", "marker"),
        container_id=uuid4(),
        checkpoint=Checkpoint(facts={create.ASKED: 101}, intent={CREATE: []}),
        recorder=SimpleNamespace(owner=owner, flush=always(None)),
        **tells(told),
        told=told,
    )


async def test_a_run_goes_on_with_the_next_vmid_and_asks_pve_anew() -> None:
    job = run(Saying(ROW))
    with pytest.raises(BeginAgainError):
        await create.move_to_free_vmid(job, CREATE)
    assert job.told == ["Another container took the vmid 101 in the meantime: going on as CT 102"]
    assert (job.checkpoint.facts, job.checkpoint.intent) == ({}, {})


async def test_a_run_that_another_worker_has_is_not_moved() -> None:
    moved = Saying(ROW)
    with pytest.raises(LeaseGoneError):
        await create.move_to_free_vmid(run(moved, owner="former"), CREATE)
    assert moved.calls == 0
