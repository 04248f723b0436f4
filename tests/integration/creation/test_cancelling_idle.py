"""Cancel a job without a worker: it ends at once, or a worker checks what it may have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from tests.integration.creation.cancelled import said, tasks_of, waiting_for_sign_in
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab


async def test_a_queued_run_ends_at_once_without_any_worker(lab: Lab) -> None:
    job_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, job_id)
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert (job.state, job.exists) == (JobState.CANCELLED, False)
    assert "no container remains" in await said(lab, job_id)
    await lab.work(job_id)
    assert lab.containers_named(job.hostname) == []


async def test_a_paused_run_ends_at_once_without_any_worker(lab: Lab) -> None:
    job_id = await lab.request(None, pause_after_create=True)
    await lab.finish(job_id, state=JobState.PAUSED)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await service.cancel(lab.rt, operator, job_id)
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert (job.state, job.exists, job.may_destroy) == (JobState.CANCELLED, True, True)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_a_retry_whose_create_may_have_left_something_is_looked_at_by_a_worker(lab: Lab) -> None:
    lab.sandbox.hang_task("vzcreate")
    job_id = await lab.request(None)
    work = lab.work(job_id)
    await lab.until(lambda: tasks_of(lab, "vzcreate"), "the task runs")
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.stop(tasks_of(lab, "vzcreate")[0]["upid"])
    await work
    await service.retry(lab.rt, lab.session, job_id)
    await service.cancel(lab.rt, lab.session, job_id)
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.CANCELLING
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    assert job.exists == bool(lab.sandbox.api.cts.get(job.vmid))


async def test_one_that_waits_for_a_sign_in_is_cancelled_by_who_may_manage_it(lab: Lab) -> None:
    job_id = await waiting_for_sign_in(lab)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await service.cancel(lab.rt, operator, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    assert job.exists


async def test_one_that_is_over_says_so(lab: Lab) -> None:
    job_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, job_id)
    with pytest.raises(ConflictError, match="has ended: cancelled"):
        await service.cancel(lab.rt, lab.session, job_id)
