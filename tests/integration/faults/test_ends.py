"""A cancelled job and a job whose ticket expires leave nothing running. The second continues after a sign-in."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.services.creation import service
from tests.integration.faults.gates import CREATE
from tests.integration.faults.lab import AskedJob, Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANCELLED_WITHIN_S = 15.0


async def cancel(lab: Lab, job: AskedJob) -> None:
    """Cancel in time, and check that nothing is held and that PVE matches the job's result."""
    async with asyncio.timeout(CANCELLED_WITHIN_S):
        await service.cancel(lab.rt, lab.session, job.id)
        await lab.until_state(job, JobState.CANCELLED)
    row = await lab.row(job)
    assert lab.exists(job) == row.error["remains"]
    assert [task for task in lab.sandbox.api.tasklog if task["status"] == "running"] == []
    await lab.check_told_once(job, EventType.ERROR)
    await lab.check_nothing_held(job)


@pytest.mark.parametrize("kind", ["vzcreate", "vzstart"])
async def test_a_pve_task_that_hangs_is_stopped_by_a_cancel(lab: Lab, kind: str) -> None:
    await lab.need_worker()
    lab.sandbox.hang_task(kind)
    job = await lab.request()
    await lab.until(lambda: bool(lab.tasks_of(job, kind)), f"{kind} hangs")
    await cancel(lab, job)
    assert [task["exitstatus"] for task in lab.tasks_of(job, kind)] == ["received interrupt"]
    assert not lab.gates.is_running(job.vmid)


async def test_a_cancel_ends_all_processes_of_a_script_that_ignores_term(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.request("stubborn")
    await lab.until_said(job, "begun")
    assert await lab.is_alive(job)
    await cancel(lab, job)
    assert not await lab.is_alive(job)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_a_cancel_ends_an_installation(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.request("waits")
    await lab.until_said(job, "installing")
    await cancel(lab, job)
    await lab.go(job, "tool")
    assert (await lab.in_guest(job, "ls /root/over.tool 2>&1 || :")).endswith("No such file or directory\n")
    assert (await lab.in_guest(job, "cat /root/runs")).split() == ["tool"]


async def free(lab: Lab, job: AskedJob) -> bool:
    return not (await service.get_job(lab.rt, lab.session, job.id)).exists


async def test_a_cancelled_vmid_is_free_for_the_next_container(lab: Lab) -> None:
    await lab.need_worker()
    lab.sandbox.hang_task("vzcreate")
    given_up = await lab.request()
    await lab.until(lambda: bool(lab.tasks_of(given_up, "vzcreate")), "vzcreate hangs")
    await cancel(lab, given_up)
    assert lab.exists(given_up)
    await service.destroy(lab.rt, lab.session, given_up.id)
    await lab.until(lambda: not lab.exists(given_up), "destroyed")
    await lab.until(partial(free, lab, given_up), "its vmid is free")
    job = await lab.request(vmid=given_up.vmid)
    await lab.until_state(job, JobState.DONE)


async def wait_for_sign_in(lab: Lab, job: AskedJob) -> None:
    await lab.until_state(job, JobState.WAITING)
    row = await lab.row(job)
    assert (row.lease_owner, row.lease_until) == (None, None)


async def go_on_after_sign_in(lab: Lab, job: AskedJob) -> None:
    session = await lab.sign_in()
    assert await service.resume_after_sign_in(lab.rt, session) == 1
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)


async def test_a_ticket_that_ends_during_a_script_makes_the_job_wait_for_a_sign_in(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    lab.sandbox.expire_tickets()
    await lab.go(job, "first", "second")
    await wait_for_sign_in(lab, job)
    await go_on_after_sign_in(lab, job)


@pytest.mark.full
async def test_a_ticket_that_ends_while_pve_creates_leaves_the_task_to_be_found_again(lab: Lab) -> None:
    job, gate = await lab.request_held("steps", CREATE)
    lab.sandbox.expire_tickets()
    await wait_for_sign_in(lab, job)
    gate.open()
    await go_on_after_sign_in(lab, job)
