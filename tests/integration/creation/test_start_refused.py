"""A start that PVE refuses because the container is locked: retried, one start at a time, and with a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.proxmox.schemas.tasks import is_success
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.steps import start
from tests.integration.creation.cancelled import cancel, tasks_of
from tests.worded import cause

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

LOCKED = "CT is locked (backup)"
AGAIN = f"{LOCKED}: trying again"
LOCK_TIMEOUT = "can't lock file '/run/lock/lxc/pve-config-100.lock' - got timeout"


async def made_and_locked(lab: Lab) -> tuple[UUID, int]:
    """A job that continues after its pause while a backup locks its container."""
    job_id = await lab.request(None, pause_after_create=True)
    job = await lab.finish(job_id, state=JobState.PAUSED)
    lab.sandbox.lock_guest(job.vmid)
    await service.go_on(lab.rt, lab.session, job_id)
    return job_id, job.vmid


def ends_of_starts(lab: Lab) -> list[str]:
    """The ends of the start tasks: ``started`` or PVE's text."""
    ends = [task.get("exitstatus") or task["status"] for task in tasks_of(lab, "vzstart")]
    return sorted("started" if is_success(end) else end for end in ends)


async def test_a_backup_that_holds_the_container_before_its_start_is_waited_for(lab: Lab) -> None:
    job_id, vmid = await made_and_locked(lab)
    work = lab.work(job_id)
    await lab.until_said(job_id, AGAIN)
    lab.sandbox.unlock_guest(vmid)
    await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.DONE
    told = [event.message for event in await lab.events(job_id)]
    assert len([message for message in told if "trying again" in message]) == 1
    assert ends_of_starts(lab) == [LOCKED, "started"]


async def test_a_lock_that_stays_fails_the_job_and_a_retry_goes_on_once_it_is_lifted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, vmid = await made_and_locked(lab)
    with monkeypatch.context() as patched:
        patched.setattr(start, "BUSY_FOR_S", 0.0)
        job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert LOCKED in cause(job.error)
    lab.sandbox.unlock_guest(vmid)
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)


async def test_a_job_that_waits_for_a_lock_is_cancelled(lab: Lab) -> None:
    job_id, _ = await made_and_locked(lab)
    lab.work(job_id)
    await lab.until_said(job_id, AGAIN)
    job = await cancel(lab, job_id)
    assert job.exists


@pytest.mark.parametrize("said", [LOCKED, LOCK_TIMEOUT, "got timeout"])
async def test_a_start_whose_post_is_refused_for_a_moment_is_asked_for_again(lab: Lab, said: str) -> None:
    lab.sandbox.fail("POST", "/lxc/100/status/start", 500, said, times=2)
    job = await lab.finish(await lab.request(None, vmid=100))
    assert f"{said}: trying again" in [event.message for event in await lab.events(job.id)]
    assert ends_of_starts(lab) == ["started"]


async def test_a_job_whose_start_is_refused_at_once_again_and_again_is_cancelled(lab: Lab) -> None:
    lab.sandbox.fail("POST", "/lxc/100/status/start", 500, "got timeout")
    job_id = await lab.request(None, vmid=100)
    lab.work(job_id)
    await lab.until_said(job_id, "got timeout: trying again")
    await cancel(lab, job_id)
    assert ends_of_starts(lab) == []
