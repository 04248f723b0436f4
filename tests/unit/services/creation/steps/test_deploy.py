"""Files whose folder or owner does not exist yet, and a guest that another job prepared. By the guest's answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import EventType, FilePolicy, Phase
from lxc_dashboard.errors import PhaseFailedError, WrongGuestError
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.proxmox.schemas import LxcConfig
from lxc_dashboard.services.creation.steps import deploy, notes, sync
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.templates.model import FileEntry
from tests.unit.services.creation.doubles import Saying, always, tells
from tests.worded import cause

LATE = FileEntry("late.conf", "/opt/late", FilePolicy.DEFAULT, b"late\n", owner="late")
SINCE = {deploy.STAMP: "20261127-101500"}


def run(**facts: object) -> Any:
    job_id, told = uuid4(), list[tuple[EventType, str]]()
    config = LxcConfig.of({"description": notes.while_creating("", job_id)})

    return SimpleNamespace(
        job_id=job_id,
        checkpoint=Checkpoint(facts={**SINCE, **facts}),
        recorder=SimpleNamespace(step=Phase.DEPLOYING),
        revision=SimpleNamespace(content=SimpleNamespace(files=(LATE,))),
        guest=SimpleNamespace(vmid=101, node="pve1", marker="ours"),
        client=SimpleNamespace(lxc=SimpleNamespace(config=always(config))),
        **tells(told, kinds=True),
        told=told,
    )


def door(*said: str | Exception) -> Any:
    """A guest with one answer per entry."""
    answers = [each if isinstance(each, Exception) else CommandResult(0, each.encode(), b"") for each in said]
    return SimpleNamespace(run=Saying(*answers))


@pytest.mark.parametrize("said", ["held", "unowned"])
async def test_a_file_that_waits_is_placed_once_however_often_its_step_is_begun(said: str) -> None:
    job = run()
    for _ in range(2):
        await deploy._place(job, door(said), LATE)
    assert job.checkpoint.facts["held"] == ["late.conf"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("held", "late.conf has no place: /opt/late does not exist after the scripts"),
        ("unowned", "/opt/late/late.conf cannot be given to late, who does not exist after the scripts"),
    ],
)
async def test_a_file_that_waited_for_nothing_ends_the_run_and_is_tried_again_by_a_retry(said: str, why: str) -> None:
    job = run(held=["late.conf"])
    with pytest.raises(PhaseFailedError) as failed:
        await sync._place_held(job, door(said))
    assert (cause(failed.value), failed.value.step) == (why, "late.conf")
    assert job.checkpoint.failed == sync.HELD_BACK


@pytest.mark.parametrize(
    ("said", "kind"), [("written", EventType.STEP), ("same", EventType.STEP), ("kept", EventType.WARNING)]
)
async def test_a_file_that_a_script_has_made_meanwhile_is_kept_with_a_warning(said: str, kind: EventType) -> None:
    job = run(held=["late.conf"])
    await sync._place_held(job, door(said))
    assert [told for told, _ in job.told] == [kind]


async def test_what_an_os_template_brings_of_a_former_job_is_taken_out() -> None:
    job = run()
    job.checkpoint.facts.clear()
    guest = door(WrongGuestError(), "theirs\n", "", "")
    await deploy._install(job, guest)
    assert guest.run.calls == 4
    assert "removed what the former job had left" in job.told[0][1]


async def test_a_guest_that_was_ours_and_carries_another_marker_now_is_left_alone() -> None:
    guest = door(WrongGuestError())
    with pytest.raises(WrongGuestError):
        await deploy._install(run(), guest)
    assert guest.run.calls == 1
