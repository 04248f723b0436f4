"""Destroying what a job has left, by PVE's answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from lxc_dashboard.db.models import CREATE_KIND, Container, Job
from lxc_dashboard.errors import ConflictError, PrivilegeError
from lxc_dashboard.proxmox.schemas import Content, Guest, GuestStatus, LxcConfig, Resource, TaskInfo
from lxc_dashboard.services.creation import ownership
from lxc_dashboard.services.creation.access import ENTRY_PRIVILEGES
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import Node, Saying, always, with_door, without_doors
from tests.unit.services.creation.wish import SPEC

VMID = 101
ID = uuid4()
CREATION = Job(
    kind=CREATE_KIND,
    step="creating",
    vmid=101,
    id=ID,
    endpoint_id=uuid4(),
    container_id=uuid4(),
    userid="root@pam",
    params=SPEC.to_json(),
    checkpoint={"begun": {CREATE: ["U"]}},
)
ROW = Container(endpoint_id=CREATION.endpoint_id, vmid=VMID, node="pve1", hostname="web", created_by="root@pam")
OURS = LxcConfig.of({"description": notes.while_creating("", ID), "hostname": "web"})
BARE = LxcConfig.of({"lock": "create"})
BEGAN, ENDED = 1000, 1007
MAKING = TaskInfo(
    "U", type="vzcreate", id=str(VMID), user="root@pam", status="unexpected status", starttime=BEGAN, endtime=ENDED
)
DISK = Content("local-lvm:vm-101-disk-0", content="rootdir", vmid=VMID)
OTHERS = Content("local-lvm:vm-102-disk-0", content="rootdir", vmid=102)


def pve(guest: Guest, config: LxcConfig = OURS, *, runs_on: bool = False, content: object = ()) -> Any:
    """``runs_on``: the guest still runs after PVE was asked to stop it."""
    left = GuestStatus(VMID, "running" if runs_on else "stopped")
    node = Resource("node", node="pve1", status="online")
    return SimpleNamespace(
        cluster=SimpleNamespace(has_no_guest=always(False), resources=always([node])),
        lxc=SimpleNamespace(
            find=always(guest), config=always(config), status=always(left), stop=Saying("U1"), delete=Saying("U2")
        ),
        storage=SimpleNamespace(content=always(content), delete=Saying("U3")),
        tasks=SimpleNamespace(wait=always(None), list=always([MAKING])),
    )


def run(client: Any, rt: Any) -> Any:
    recorder = SimpleNamespace(flush=always(None), log=always(None))
    return SimpleNamespace(
        rt=rt, client=client, endpoint_id=uuid4(), userid="root@pam", recorder=recorder, checkpoint=Checkpoint()
    )


async def delete(client: Any) -> tuple[str, ...] | None:
    return await ownership.delete_left(run(client, without_doors()), CREATION, ROW)


async def test_a_container_that_stands_still_is_deleted_without_a_stop() -> None:
    client = pve(Guest(VMID, "stopped"))
    assert await delete(client) == ()
    assert (client.lxc.stop.calls, client.lxc.delete.calls) == (0, 1)


async def test_a_container_that_runs_is_stopped_first() -> None:
    client = pve(Guest(VMID, "running"))
    assert await delete(client) == ()
    assert (client.lxc.stop.calls, client.lxc.delete.calls) == (1, 1)


async def test_a_container_that_goes_on_running_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "STOP_WITHIN_S", 0.0)
    client = pve(Guest(VMID, "running"), runs_on=True)
    with pytest.raises(ConflictError, match="CT 101 still runs, though PVE was asked to stop it"):
        await delete(client)
    assert client.lxc.delete.calls == 0


@pytest.mark.parametrize(
    ("content", "stays"), [([DISK, OTHERS], (DISK.volid,)), (PrivilegeError("Datastore.Audit", "/storage/x"), ())]
)
async def test_disks_that_stand_in_no_configuration_are_named_as_far_as_they_are_seen(
    content: object, stays: tuple[str, ...]
) -> None:
    assert await delete(pve(Guest(VMID, "stopped"), BARE, content=content)) == stays


@pytest.mark.parametrize(
    ("ctime", "is_its_own"), [(BEGAN - 1, False), (BEGAN, True), (ENDED, True), (ENDED + 1, False), (0, False)]
)
async def test_a_disk_is_deleted_where_its_date_is_within_the_jobs_own_create(ctime: int, is_its_own: bool) -> None:
    client = pve(Guest(VMID, "stopped"), BARE, content=[replace(DISK, ctime=ctime)])
    assert await delete(client) == (() if is_its_own else (DISK.volid,))
    assert client.storage.delete.calls == is_its_own


async def test_a_disk_without_a_date_is_left_where_the_task_has_none_either() -> None:
    client = pve(Guest(VMID, "stopped"), BARE, content=[DISK])
    client.tasks.list = always([replace(MAKING, starttime=0)])
    assert await delete(client) == (DISK.volid,)


async def test_a_disk_that_its_user_may_not_delete_is_named() -> None:
    client = pve(Guest(VMID, "stopped"), BARE, content=[replace(DISK, ctime=BEGAN)])
    client.storage.delete = Saying(PrivilegeError("Datastore.Allocate", "/storage/local-lvm"))
    assert await delete(client) == (DISK.volid,)
    assert client.lxc.delete.calls == 1


async def test_a_version_of_pve_that_deletes_a_disk_at_once_is_waited_for_no_more() -> None:
    client = pve(Guest(VMID, "stopped"), BARE, content=[replace(DISK, ctime=BEGAN)])
    client.storage.delete, waited = Saying(None), Saying(None)
    client.tasks.wait = waited
    assert await delete(client) == ()
    assert waited.calls == 1  # for the task that deletes the container


async def test_a_lock_that_this_job_has_not_left_keeps_the_container() -> None:
    client = pve(Guest(VMID, "stopped", lock="create"))
    client.tasks.list = always([])
    with pytest.raises(ConflictError, match="is locked by a task that is not of this job"):
        await delete(client)
    assert client.lxc.delete.calls == 0


async def test_the_lock_that_a_killed_create_of_this_job_has_left_is_lifted_on_the_node() -> None:
    client, node = pve(Guest(VMID, "stopped", lock="create")), Node()
    client.access = SimpleNamespace(permissions=always(frozenset(ENTRY_PRIVILEGES)))
    assert await ownership.delete_left(run(client, with_door(node)), CREATION, ROW) == ()
    assert [command.endswith("pct unlock 101") for command in node.commands] == [True]
    assert client.lxc.delete.calls == 1


async def test_a_lock_is_not_lifted_for_one_who_may_not_enter_the_container() -> None:
    client, node = pve(Guest(VMID, "stopped", lock="create")), Node()
    client.access = SimpleNamespace(permissions=always(frozenset({"VM.Console"})))
    with pytest.raises(PrivilegeError):
        await ownership.delete_left(run(client, with_door(node)), CREATION, ROW)
    assert (node.commands, client.lxc.delete.calls) == ([], 0)
