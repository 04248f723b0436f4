"""The create task by PVE's answer: refused, vmid in use by another container, done with warnings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.errors import ApiError, PhaseFailedError, TaskFailedError
from lxc_dashboard.proxmox.schemas import LxcConfig, Resource
from lxc_dashboard.proxmox.tasks import TaskResult
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.steps import create, notes
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import always, tells
from tests.unit.services.creation.wish import SPEC
from tests.worded import remedy

VMID = 101
ID = uuid4()
MADE = TaskResult("U", "WARNINGS: 2", 2)


def run(task: object, *, free: bool = True, notes_of: UUID = ID, guest: Resource | None = None) -> Any:
    """A job that asked PVE to create its container with a vmid chosen by the user. ``task`` is that task's result."""
    told: list[str] = []
    config = LxcConfig.of({"description": notes.while_creating("", notes_of), "hostname": "web"})
    return SimpleNamespace(
        job_id=ID,
        spec=replace(SPEC, vmid=VMID),
        password=None,
        door_key=None,
        checkpoint=Checkpoint(upid={create.CREATE: "U"}),
        guest=SimpleNamespace(vmid=VMID, node="pve1", seen=lambda: told.append("seen")),
        client=SimpleNamespace(
            lxc=SimpleNamespace(config=always(config)),
            tasks=SimpleNamespace(wait=always(task)),
            cluster=SimpleNamespace(vmid_is_free=always(free), has_no_guest=always(free), find_guest=always(guest)),
        ),
        **tells(told),
        told=told,
    )


async def test_a_create_with_warnings_tells_of_them() -> None:
    job = run(MADE)
    await create._create(job)
    assert job.told[1:] == ["PVE created it with 2 warnings", "seen"]


async def test_a_create_that_failed_says_what_may_help() -> None:
    with pytest.raises(PhaseFailedError, match="No space left") as failed:
        await create._create(run(TaskFailedError("U", "tar: write error: No space left on device")))
    assert remedy(failed.value).startswith("The disk may be too small")


async def test_what_pve_refuses_is_told_in_its_words_and_the_container_may_be_ours_once_it_began() -> None:
    job = run(ApiError(500, "storage 'x' is gone"))
    with pytest.raises(ApiError, match="is gone"):
        await create._create(job)
    assert job.checkpoint.facts == {create.ASKED: VMID}


async def test_a_container_of_somebody_else_with_the_vmid_chosen_by_hand_ends_the_run() -> None:
    with pytest.raises(PhaseFailedError, match="made by somebody else in the meantime"):
        await create._create(run(MADE, notes_of=uuid4()))


async def test_a_password_that_is_forgotten_is_asked_for_again() -> None:
    job = run(MADE)
    job.spec = replace(job.spec, password_mode=PasswordMode.GIVEN)
    with pytest.raises(PhaseFailedError) as failed:
        await create._create(job)
    assert failed.value.reason.code == FailureCode.PASSWORD_GONE


@pytest.mark.parametrize(
    ("guest", "taken"),
    [
        (None, False),
        (Resource("qemu", node="pve1", vmid=VMID), True),
        (Resource("lxc", node="pve1", vmid=VMID), False),
    ],
)
async def test_a_vmid_that_we_asked_for_is_taken_where_a_guest_is_surely_not_ours(
    guest: Resource | None, taken: bool
) -> None:
    job = run(MADE, free=False, guest=guest)
    job.checkpoint.facts[create.ASKED] = VMID
    assert await create.is_vmid_taken(job) is taken
