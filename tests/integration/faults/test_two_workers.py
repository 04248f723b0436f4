"""A worker process that is paused during a creation and loses it to another worker changes nothing afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from lxc_dashboard.db.models import JobState
from tests.e2e.stack import Child
from tests.integration.faults.lab import AskedJob, Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


def times_said(workers: Sequence[Child], job: AskedJob, text: str) -> int:
    lines = [line for worker in workers for line in worker.said().splitlines()]
    return sum(text in line and str(job.id) in line for line in lines)


async def stands_still(lab: Lab, worker: Child) -> bool:
    """Pause the worker, unless a transaction is open: its locks would be another kind of fault."""
    worker.pause()
    async with lab.rt.db.transaction() as tx:
        open_now = await tx.session.scalar(text(OPEN_TRANSACTIONS))
    if open_now:
        worker.resume()
    return not open_now


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
