"""What a user sees of a cancel: processes end, the container stays, and a second cancel is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from tests.integration.creation.cancelled import ALL_PROCESSES, SLEEPS, waiting_for_sign_in
from tests.integration.creation.conftest import content_of
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

CANCEL_WITHIN_S = 15


async def cancel(lab: Lab, job_id: UUID, work: asyncio.Task[None]) -> service.CreationView:
    """Request a cancel and wait for the end, which must come in time."""
    asked = await service.cancel(lab.rt, lab.session, job_id)
    assert asked.state is JobState.CANCELLING
    async with asyncio.timeout(CANCEL_WITHIN_S):
        await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.CANCELLED
    return job


async def test_cancel_in_a_script_ends_its_processes_and_keeps_the_container(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nsleep 987 & sleep 987\n")))
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    job = await cancel(lab, job_id, work)
    assert SLEEPS not in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert job.may_destroy
    assert not job.may_retry


async def test_cancel_in_a_script_that_ignores_term_is_in_time(lab: Lab) -> None:
    text = "#!/bin/sh\ntrap '' TERM\necho begun\nwhile :; do sleep 987; done\n"
    job_id = await lab.request(content_of(("10-deaf.sh", text)))
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    job = await cancel(lab, job_id, work)
    assert SLEEPS not in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


@pytest.mark.parametrize(("task", "moment"), [("vzcreate", "Creating CT"), ("vzstart", "Starting CT")])
async def test_cancel_stops_a_hanging_task(lab: Lab, task: str, moment: str) -> None:
    lab.sandbox.hang_task(task)
    job_id = await lab.request()
    work = lab.work(job_id)
    await lab.until_said(job_id, moment)
    job = await cancel(lab, job_id, work)
    client = await acting.client(lab.rt, lab.session)
    assert not [entry for entry in await client.tasks.list(job.node, typefilter=task) if entry.running]
    found = await client.lxc.find(job.node, job.vmid)
    assert job.exists == (found is not None)
    said = " ".join(event.message for event in await lab.events(job_id))
    assert found is None or not found.lock or f"pct unlock {job.vmid}" in said


async def test_cancel_before_a_worker_came_frees_the_vmid(lab: Lab) -> None:
    job_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    assert not job.exists
    again = await lab.request(None)
    assert (await service.get_job(lab.rt, lab.session, again)).vmid == job.vmid


async def test_cancel_while_it_waits_for_a_sign_in(lab: Lab) -> None:
    job_id = await waiting_for_sign_in(lab)
    lab.session = await sign_in(lab.rt, lab.sandbox)
    await service.cancel(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    assert SLEEPS not in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


async def test_an_ended_job_is_not_cancelled(lab: Lab) -> None:
    job_id = await lab.request(None)
    await lab.finish(job_id)
    with pytest.raises(ConflictError, match="has ended"):
        await service.cancel(lab.rt, lab.session, job_id)
