"""Workers on hosts whose clocks differ by minutes: live ones keep their jobs, dead ones are replaced."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.settings import Timing
from tests.e2e.stack import Child
from tests.integration.faults.lab import RECOVERY_S, AskedJob, Lab
from tests.integration.faults.test_two_workers import times_said

pytestmark = [pytest.mark.full, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

AHEAD_S, BEHIND_S = 600, -600
NEVER_SAID = ("lease lost", "left to another worker", "Discarding revoked task")


@pytest.fixture(scope="module")
def timing() -> Timing:
    """The product's default times."""
    return Timing()


async def start_worker(lab: Lab, off_by_s: int) -> Child:
    worker = lab.start_worker(off_by_s)
    await lab.until(lambda: "worker ready" in worker.said(), f"a worker whose clock is off by {off_by_s} s is ready")
    return worker


async def until_kept(lab: Lab, job: AskedJob) -> None:
    """Wait until the worker has renewed the job's lease for longer than two renewal intervals."""

    async def lease_until() -> datetime:
        found = (await lab.row(job)).lease_until
        assert found is not None
        return found

    first = await lease_until()

    async def renewed() -> bool:
        return await lease_until() - first > timedelta(seconds=2 * lab.rt.timing.renew_lease_every_s)

    await lab.until(renewed, "the lease is renewed")


async def test_a_run_goes_from_one_worker_to_the_next_by_their_deaths_and_not_by_their_clocks(lab: Lab) -> None:
    worker = await start_worker(lab, AHEAD_S)
    job = await lab.in_the_first_script()
    for attempt, off_by_s in enumerate((BEHIND_S, AHEAD_S), 2):
        successor = await start_worker(lab, off_by_s)
        await until_kept(lab, job)
        assert times_said([worker], job, "job taken") == 1
        assert (await lab.row(job)).attempt == attempt - 1
        worker.kill()
        await lab.until_taken_again(job, attempt, within_s=RECOVERY_S)
        worker = successor
    await lab.go(job, "first", "second")
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)
    said = "\n".join(each.said() for each in lab.workers)
    assert [words for words in NEVER_SAID if words in said] == []
