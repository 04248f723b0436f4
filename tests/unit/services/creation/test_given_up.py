"""What the end of a job leaves in place, or leaves to another worker or to root."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Job
from lxc_dashboard.errors import ConflictError, GuestError, GuestUnreachableError
from lxc_dashboard.guest.keys import KeyPair
from lxc_dashboard.proxmox.schemas import Guest, LxcConfig, Resource, TaskInfo
from lxc_dashboard.proxmox.tasks import TaskResult
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation import cancel as unattended
from lxc_dashboard.services.creation import ownership
from lxc_dashboard.services.creation.access import ENTRY_PRIVILEGES
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.kind import CREATION
from lxc_dashboard.services.creation.ownership import CREATE_LOCK, Claim
from lxc_dashboard.services.creation.steps import deploy, finalize, notes
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine import pve_tasks
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.settings import Timing
from tests.unit.services.creation.doubles import Node, always, database, tells, with_door, without_doors

VMID = 101
KEY = KeyPair("ssh-ed25519 AAAA job", "")


def run(**more: Any) -> Any:
    """A job whose container is stopped in PVE, on a node without a door."""
    job_id, told = uuid4(), list[str]()
    config = LxcConfig.of({"description": notes.while_creating("", more.pop("notes_of", job_id))})
    node = Resource("node", node="pve1", status="online")
    return SimpleNamespace(
        **{
            "rt": without_doors(),
            "job_id": job_id,
            "userid": "root@pam",
            "endpoint_id": uuid4(),
            "door": None,
            "door_key": None,
            "checkpoint": Checkpoint(done=[CREATE, deploy.PREPARE]),
            "guest": SimpleNamespace(vmid=VMID, node="pve1"),
            "client": SimpleNamespace(
                cluster=SimpleNamespace(has_no_guest=always(False), resources=always([node])),
                lxc=SimpleNamespace(config=always(config), find=always(Guest(VMID, "stopped"))),
            ),
            **tells(told),
            "told": told,
            **more,
        }
    )


async def test_a_key_in_a_guest_that_cannot_be_entered_stays_there() -> None:
    assert not await cancelling._lock(run(door_key=KEY), 1.0)
    assert await cancelling._lock(run(), 1.0)


async def test_of_a_guest_that_is_another_ones_nothing_of_ours_remains() -> None:
    assert not await cancelling._remains(run(notes_of=uuid4()))
    assert await cancelling._remains(run())


async def test_a_lock_on_a_node_without_a_door_is_left_to_its_root() -> None:
    job = run()
    await cancelling._lift_lock(job)
    assert job.told == ["CT 101 keeps the lock 'create'. On pve1, root lifts it with: pct unlock 101"]


async def test_a_lock_is_lifted_where_its_node_has_a_door() -> None:
    node = Node()
    job = run(rt=with_door(node))
    job.client.access = SimpleNamespace(permissions=always(frozenset(ENTRY_PRIVILEGES)))
    await cancelling._lift_lock(job)
    assert job.told == ["The lock that the stopped task left was lifted"]
    assert len(node.commands) == 1


async def test_what_keeps_a_lock_that_nobody_can_lift_is_not_deleted() -> None:
    ours = TaskInfo("U", type="vzcreate", id=str(VMID), user="root@pam", status="unexpected status", endtime=1)
    client: Any = SimpleNamespace(tasks=SimpleNamespace(list=always([ours])))
    claim = Claim(uuid4(), "root@pam", VMID, Checkpoint(begun={CREATE: ["U"]}))
    job: Any = SimpleNamespace(rt=without_doors(), client=client, endpoint_id=uuid4())
    with pytest.raises(ConflictError, match=f"keeps the lock '{CREATE_LOCK}'. On pve1, root lifts it"):
        await ownership._unlock(job, claim, "pve1")


async def test_a_key_in_a_guest_that_stands_still_is_owed_until_it_runs() -> None:
    assert not await settling._end_in_guest(run(door_key=KEY))
    assert await settling._end_in_guest(run())


async def test_a_run_that_a_worker_has_just_taken_is_left_to_that_one() -> None:
    rt: Any = SimpleNamespace(timing=Timing(), db=database(leases=SimpleNamespace(acquire=always(None))))
    creation = Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        checkpoint={},
    )
    assert not await unattended.end(CREATION, rt, creation)


async def test_a_guest_that_answers_uselessly_only_warns_and_one_that_is_silent_is_asked_again() -> None:
    job = run()
    door: Any = SimpleNamespace(run=always(GuestError("The guest answered with too much")))
    assert not await finalize._told(job, door, "true", CreationCode.SERVICES_NOT_LISTED)
    assert job.told == ["Its services could not be listed: The guest answered with too much"]
    door = SimpleNamespace(run=always(GuestUnreachableError()))
    with pytest.raises(GuestUnreachableError):
        await finalize._told(job, door, "true", CreationCode.SERVICES_NOT_LISTED)


async def test_a_recorder_that_was_closed_promises_nothing() -> None:
    nowhere: Any = None
    with pytest.raises(LeaseLostError):
        await Recorder(nowhere, uuid4(), "me", Checkpoint(), 10.0).flush()


async def test_a_task_whose_start_was_never_heard_of_is_looked_for_and_ended() -> None:
    ours = TaskInfo("U2", type="vzstart", id=str(VMID), user="root@pam", starttime=2)
    before = TaskInfo("U1", type="vzstart", id=str(VMID), user="root@pam", starttime=1)
    ended: list[str] = []

    async def wait(upid: str, **_: object) -> TaskResult:
        ended.append(upid)
        return TaskResult(upid, "OK")

    job = run(checkpoint=Checkpoint(intent={"start": ["U1"]}))
    job.client.tasks = SimpleNamespace(list=always([before, ours]), wait=wait)
    step = pve_tasks.PveStep("start", "vzstart", str(VMID), "pve1", 60.0, always(""))
    assert await pve_tasks.stop_task(job, step) == "OK"
    assert ended == ["U2"]
