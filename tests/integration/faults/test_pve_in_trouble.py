"""A real worker with a PVE that drops requests, loses a node, keeps a guest locked or has a wrong clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation import service
from tests.integration.faults.gates import CREATE

if TYPE_CHECKING:
    from tests.integration.faults.lab import AskedJob, Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLOCK_OFF_BY_S = 6 * 3600


async def ready(lab: Lab, job: AskedJob) -> None:
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)
    await lab.check_nothing_held(job)


async def ready_after_retry(lab: Lab, job: AskedJob) -> None:
    await service.retry(lab.rt, lab.session, job.id)
    await lab.until_state(job, JobState.DONE)
    await lab.check_guest(job)
    await lab.check_nothing_held(job)
    assert lab.containers_named(job.hostname) == [job.vmid]


@pytest.mark.full
async def test_a_third_of_all_requests_is_lost_and_it_is_only_slower(lab: Lab) -> None:
    await lab.need_worker()
    lost = lab.sandbox.faults.lost
    job = await lab.request()
    lab.sandbox.drop(0.3, seed=7)
    await ready(lab, job)
    assert lab.sandbox.faults.lost > lost


async def test_a_node_that_goes_offline_while_it_creates_is_waited_for(lab: Lab) -> None:
    job, gate = await lab.request_held("steps", CREATE)
    lab.sandbox.node_offline("pve1")
    gate.open()
    await lab.until_said(job, "pve1 does not answer: waiting for its task")
    lab.sandbox.node_offline("pve1", False)
    await ready(lab, job)


@pytest.mark.full
async def test_a_restart_of_the_cluster_filesystem_during_a_task_and_a_script_is_waited_for(lab: Lab) -> None:
    job, gate = await lab.request_held("waits", CREATE)
    lab.sandbox.filesystem_down()
    await lab.until_said(job, "The cluster filesystem of PVE does not answer: waiting for its task")
    gate.open()
    lab.sandbox.filesystem_down(False)
    await lab.until_said(job, "installing")
    lab.sandbox.filesystem_down()
    await lab.go(job, "tool", "first", "second")
    await lab.until_said(job, "The cluster filesystem of PVE does not answer: trying again")
    assert await lab.state(job) is JobState.RUNNING
    lab.sandbox.filesystem_down(False)
    await ready(lab, job)


@pytest.mark.full
async def test_a_cluster_without_quorum_is_waited_for(lab: Lab) -> None:
    job, gate = await lab.request_held("steps", CREATE)
    lab.sandbox.lose_quorum()
    gate.open()
    await lab.until_said(job, "cluster not ready - no quorum?: trying again")
    lab.sandbox.regain_quorum()
    await ready(lab, job)


async def test_a_guest_that_is_locked_is_waited_for(lab: Lab) -> None:
    job, gate = await lab.request_held("steps", CREATE)
    lab.sandbox.fail("POST", f"/lxc/{job.vmid}/status/start", 500, "CT is locked (backup)")
    gate.open()
    await lab.until_said(job, "CT is locked (backup): trying again")
    lab.sandbox.heal()
    await ready(lab, job)


@pytest.mark.parametrize("off_by_s", [CLOCK_OFF_BY_S, -CLOCK_OFF_BY_S])
@pytest.mark.full
async def test_a_pve_whose_clock_is_hours_off_makes_no_difference(lab: Lab, off_by_s: int) -> None:
    await lab.need_worker()
    lab.sandbox.ticket_issuer.skew_s = off_by_s
    try:
        await lab.sign_in()
        await ready(lab, await lab.request())
    finally:
        lab.sandbox.ticket_issuer.skew_s = 0
        await lab.sign_in()


async def test_a_storage_that_fills_up_meanwhile_fails_in_pve_and_goes_on_when_it_has_room(lab: Lab) -> None:
    worker = await lab.need_worker()
    worker.pause()  # takes the job only after the storage is full
    try:
        job = await lab.request()
        lab.sandbox.fill_storage("local-lvm")
    finally:
        worker.resume()
    await lab.until_state(job, JobState.FAILED)
    assert "local-lvm" in text.in_words_of((await lab.row(job)).error)
    assert not lab.exists(job)
    lab.sandbox.empty_storage("local-lvm")
    await ready_after_retry(lab, job)
