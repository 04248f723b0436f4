"""Two workers and one creation: whoever comes second leaves, and who was overtaken touches nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from lxc_dashboard.db.models import JobState, new_id
from lxc_dashboard.services.jobs.enqueue import RUN_TASK
from tests.e2e.stack import Child
from tests.integration.faults.lab import AskedJob, Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVERIES = 4
OPEN_TRANSACTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
)


async def two_workers(lab: Lab) -> Sequence[Child]:
    living = [worker for worker in lab.workers if worker.process.poll() is None]
    workers = [*living, *(lab.start_worker() for _ in range(2 - len(living)))]
    for worker in workers:
        await lab.until(lambda worker=worker: "worker ready" in worker.said(), f"{worker.name} is ready")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return workers


async def deliver(lab: Lab, job: AskedJob) -> None:
    """The same message again and again, as a broker may."""
    for _ in range(DELIVERIES):
        await lab.rt.queue.enqueue(RUN_TASK, job_id=str(job.id))


def times_said(workers: Sequence[Child], job: AskedJob, text: str) -> int:
    lines = [line for worker in workers for line in worker.said().splitlines()]
    return sum(text in line and str(job.id) in line for line in lines)


async def stands_still(lab: Lab, worker: Child) -> bool:
    """Paused, unless in the middle of a transaction: its locks are a fault of another kind."""
    worker.pause()
    async with lab.rt.db.transaction() as tx:
        open_now = await tx.session.scalar(text(OPEN_TRANSACTIONS))
    if open_now:
        worker.resume()
    return not open_now


async def test_what_is_delivered_again_and_again_is_done_once(lab: Lab) -> None:
    workers = await two_workers(lab)
    job = await lab.request("waits")
    await deliver(lab, job)
    await lab.until_said(job, "installing")
    await deliver(lab, job)
    await lab.until(lambda: times_said(workers, job, "job not taken") >= 2 * DELIVERIES, "all others have left")
    await lab.go(job, "tool", "first", "second")
    await lab.until_state(job, JobState.DONE)
    await deliver(lab, job)
    await lab.until(lambda: times_said(workers, job, "job not taken") >= 3 * DELIVERIES, "nothing is left to do")
    assert times_said(workers, job, "job taken") == (await lab.row(job)).attempt == 1
    await lab.check_nothing_lost_or_repeated(job)


@pytest.mark.full
async def test_a_worker_that_stood_still_finds_the_creation_with_another_one_and_leaves_it(lab: Lab) -> None:
    await two_workers(lab)
    job = await lab.in_the_first_script()
    workers = await two_workers(lab)
    former = next(worker for worker in workers if times_said([worker], job, "job taken"))
    await lab.until(lambda: stands_still(lab, former), "it stands still")
    try:
        await lab.until_taken_again(job, 2)
    finally:
        former.resume()
    await lab.until(lambda: times_said([former], job, "left to another worker") == 1, "the former one has left")
    await lab.go(job, "first", "second")
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)


async def test_a_button_that_is_pressed_twice_makes_one_container(lab: Lab) -> None:
    await two_workers(lab)
    job_id, vmid = new_id(), lab.next_vmid()
    first, second = await asyncio.gather(*(lab.request(vmid=vmid, job_id=job_id) for _ in range(2)))
    assert first == second
    await lab.until_state(first, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(first)
