"""Destroying what a job left is its own job: one per guest, and it survives its worker and its page."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import BusyGuestError
from lxc_dashboard.services.creation import ownership, replacement, service
from lxc_dashboard.services.creation.views import CreationView
from lxc_dashboard.services.jobs import service as jobs
from tests.integration.creation.conftest import content_of
from tests.worded import cause

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.models import Job
    from tests.integration.creation.conftest import Lab

FAILING = content_of(("10-bad.sh", "exit 1"))


async def failed(lab: Lab) -> CreationView:
    return await lab.finish(await lab.request(FAILING), state=JobState.FAILED)


async def row(lab: Lab, job_id: UUID) -> Job:
    async with lab.rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


def tasks_of(lab: Lab, kind: str) -> int:
    return sum(task["type"] == kind for task in lab.sandbox.api.tasks.values())


async def dies(worker: asyncio.Task[None]) -> None:
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def test_of_two_requests_at_once_one_is_a_job_and_the_other_names_it(lab: Lab) -> None:
    job = await failed(lab)
    both = await asyncio.gather(
        *(service.destroy(lab.rt, lab.session, job.id) for _ in range(2)), return_exceptions=True
    )
    (destroying,) = [each for each in both if not isinstance(each, BaseException)]
    (busy,) = [each for each in both if isinstance(each, BusyGuestError)]
    assert (busy.kind, busy.job_id) == ("container.destroy", destroying)
    await lab.work(destroying)
    assert lab.containers_named(job.hostname) == []
    assert tasks_of(lab, "vzdestroy") == 1


async def test_a_retry_and_an_edit_wait_for_the_job_that_destroys(lab: Lab) -> None:
    job = await failed(lab)
    destroying = await service.destroy(lab.rt, lab.session, job.id)
    with pytest.raises(BusyGuestError) as busy:
        await service.retry(lab.rt, lab.session, job.id)
    assert busy.value.job_id == destroying
    spec = await replacement.editable(lab.rt, lab.session, job.id)
    with pytest.raises(BusyGuestError):
        await replacement.replace(lab.rt, lab.session, job.id, spec)
    assert (await service.get_job(lab.rt, lab.session, job.id)).may_retry


async def test_a_job_that_is_retried_is_not_destroyed(lab: Lab) -> None:
    job = await failed(lab)
    both = await asyncio.gather(
        service.retry(lab.rt, lab.session, job.id),
        service.destroy(lab.rt, lab.session, job.id),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in both].count(True) == 1, both


@pytest.mark.parametrize("task", ["vzstop", "vzdestroy"])
async def test_a_worker_that_ends_leaves_pves_task_to_the_next_one(lab: Lab, task: str) -> None:
    job = await failed(lab)
    lab.sandbox.api.time_scale = 1.0
    destroying = await service.destroy(lab.rt, lab.session, job.id)
    worker = lab.work(destroying)
    await lab.until(lambda: tasks_of(lab, task), task)
    await dies(worker)
    lab.sandbox.api.time_scale = 0.02
    await lab.work(destroying)
    ended = await row(lab, destroying)
    assert (ended.state, text.in_words_of(ended.result)) == ("done", f"Destroyed CT {job.vmid} {job.hostname}")
    assert tasks_of(lab, "vzstop") == tasks_of(lab, "vzdestroy") == 1
    assert lab.containers_named(job.hostname) == []
    assert not (await service.get_job(lab.rt, lab.session, job.id)).exists


async def test_what_pve_refuses_fails_the_job_and_what_was_left_stays(lab: Lab) -> None:
    job = await failed(lab)
    client = await lab.pve()
    await client.lxc.set_config(job.node, job.vmid, {"protection": 1})
    assert "protection mode enabled" in await lab.destroy(job.id)
    assert lab.containers_named(job.hostname) == [job.vmid]
    again = await service.get_job(lab.rt, lab.session, job.id)
    assert (again.exists, again.may_destroy) == (True, True)


async def test_a_guest_that_became_anothers_meanwhile_is_left(lab: Lab) -> None:
    job = await failed(lab)
    destroying = await service.destroy(lab.rt, lab.session, job.id)
    client = await lab.pve()
    await client.lxc.set_config(job.node, job.vmid, {"description": "somebody else's"})
    await lab.work(destroying)
    ended = await row(lab, destroying)
    assert (ended.state, "another container" in text.in_words_of(ended.error)) == ("failed", True)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_a_job_that_waits_to_destroy_is_cancelled(lab: Lab) -> None:
    job = await failed(lab)
    destroying = await service.destroy(lab.rt, lab.session, job.id)
    await jobs.cancel(lab.rt, lab.session, destroying)
    await lab.work(destroying)
    assert (await row(lab, destroying)).state == "cancelled"
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert (await lab.destroy(job.id)).startswith("Destroyed")


async def test_a_replacement_whose_forerunner_is_not_deleted_yet_goes_on_after_a_retry(lab: Lab) -> None:
    job = await failed(lab)
    client = await lab.pve()
    await client.lxc.set_config(job.node, job.vmid, {"protection": 1})
    spec = replace(await replacement.editable(lab.rt, lab.session, job.id), revision_id=None)
    again = await replacement.replace(lab.rt, lab.session, job.id, spec)
    refused = await lab.finish(again, state=JobState.FAILED)
    assert refused.error
    assert "protection mode enabled" in cause(refused.error)
    assert lab.containers_named(job.hostname) == [job.vmid]
    await client.lxc.set_config(job.node, job.vmid, {"protection": 0})
    await service.retry(lab.rt, lab.session, again)
    made = await lab.finish(again)
    assert lab.containers_named(job.hostname) == [made.vmid] == [job.vmid]
    assert ownership.DELETE in (await row(lab, again)).checkpoint["done"]
