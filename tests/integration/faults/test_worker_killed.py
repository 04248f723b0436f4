"""Kill -9 of the worker, in every phase and between its steps: the next worker goes on, and nothing is lost or repeated.

A worker is killed while several creations stand at chosen moments. Then some of what it had begun ends with nobody
watching, and some only after the next worker has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio

from lxc_dashboard.db.models import JobState
from lxc_dashboard.guest.base import STATE_FOLDER
from lxc_dashboard.services.creation import service
from tests.integration.faults.gates import CREATE, START, Gate
from tests.integration.faults.lab import RECOVERY_S, AskedJob, Lab
from tests.integration.faults.templates import LINES

# The first test waits for both rounds: 42 s, and more than twice that where the machine has other work.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Moment:
    """Where a creation stands when its worker dies.

    ``gate``: the act that the sandbox holds, ``after`` it took effect or before. ``step``: else the step of the template
    that waits in its middle. ``late``: what is held goes on only when the next worker has taken the creation.
    """

    name: str
    gate: str = ""
    after: bool = False
    step: str = ""
    late: bool = False


MOMENTS = (
    Moment("creating: the task runs on", CREATE, late=True),
    Moment("creating: the task ends unseen", CREATE),
    Moment("starting: the task runs on", START, late=True),
    Moment("starting: the task ends unseen", START),
    Moment("starting: init is waited for", "is-system-running"),
    Moment("deploying: the helpers are about to be put there", "/bin/sh;", late=True),
    Moment("deploying: a file has been put there", ".lxc-dashboard-", after=True),
    Moment("syncing: a package is installed, which ends unseen", step="tool"),
    Moment("syncing: between the packages and the scripts", "script.001"),
    Moment("syncing: the late start of a script meets the next worker's", "script.001", late=True),
    Moment("syncing: a script runs on", step="first", late=True),
    Moment("syncing: a script ends unseen", step="first"),
    Moment("syncing: between two scripts", "script.002"),
    Moment("syncing: the last script has ended", "script.002", after=True),
    Moment("syncing: a file waits for its directory", "/opt/late"),
    Moment("finalizing: services are looked for", "/proc/net/tcp"),
    Moment("finalizing: our litter is gone", f"rm -rf {STATE_FOLDER}", after=True),
)
STEPS = ("tool", "first", "second")


@dataclass
class Killed:
    """A creation at its moment. ``recovered_s``: from the start of the next worker to its end."""

    moment: Moment
    job: AskedJob
    gate: Gate | None
    recovered_s: float = float("inf")

    async def reach(self, lab: Lab) -> None:
        if self.gate is not None:
            await lab.until(self.gate.reached.is_set, self.moment.name)
            return
        await lab.until_said(self.job, "installing")
        if self.moment.step == "first":
            await lab.go(self.job, "tool")
            await lab.until_said(self.job, f"first line {LINES}")

    async def release(self, lab: Lab) -> None:
        if self.gate is not None:
            self.gate.open()
            return
        await lab.go(self.job, *STEPS)
        if not self.moment.late:
            await lab.until_over(self.job, self.moment.step)


async def begin(lab: Lab, moment: Moment) -> Killed:
    vmid = lab.next_vmid()
    gate = lab.gates.hold(vmid, moment.gate, after=moment.after) if moment.gate else None
    killed = Killed(moment, await lab.request("waits" if moment.step else "steps", vmid), gate)
    await killed.reach(lab)
    return killed


async def begin_cancelled(lab: Lab) -> AskedJob:
    """A creation that its user gives up while no worker lives."""
    job = await lab.request("stubborn")
    await lab.until_said(job, "begun")
    return job


async def recover(lab: Lab, killed: Killed, from_s: float) -> None:
    loop = asyncio.get_running_loop()
    if killed.moment.late:
        await lab.until_taken_again(killed.job, 2)
        await killed.release(lab)
    await lab.until_state(killed.job, JobState.DONE)
    killed.recovered_s = loop.time() - from_s


# By moment; the creation that was cancelled, and how long its end took.
Recovered = tuple[Mapping[str, Killed], AskedJob, float]


async def kill_and_recover(
    lab: Lab, moments: Sequence[Moment], given_up: AskedJob | None
) -> tuple[list[Killed], float]:
    """The moments' creations after their recovery, and how long the end of ``given_up`` took."""
    worker = await lab.need_worker()
    found = await asyncio.gather(*(begin(lab, moment) for moment in moments))
    worker.kill()
    if given_up:
        await service.cancel(lab.rt, lab.session, given_up.id)
    await asyncio.gather(*(killed.release(lab) for killed in found if not killed.moment.late))
    loop = asyncio.get_running_loop()
    returned_s = loop.time()
    lab.start_worker()
    ending = asyncio.gather(*(recover(lab, killed, returned_s) for killed in found), return_exceptions=True)
    if given_up:
        await lab.until_state(given_up, JobState.CANCELLED)
    cancelled_s = loop.time() - returned_s
    await ending
    return found, cancelled_s


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_killed(lab: Lab) -> Recovered:
    """In two rounds: all at once would measure how fast this machine is, not how soon a creation goes on."""
    await lab.need_worker()
    given_up = await begin_cancelled(lab)
    found, cancelled_s = await kill_and_recover(lab, MOMENTS[::2], given_up)
    others, _ = await kill_and_recover(lab, MOMENTS[1::2], None)
    return {killed.moment.name: killed for killed in (*found, *others)}, given_up, cancelled_s


@pytest.mark.parametrize("moment", [moment.name for moment in MOMENTS])
async def test_the_next_worker_makes_it_ready_and_nothing_is_lost_or_repeated(
    lab: Lab, all_killed: Recovered, moment: str
) -> None:
    killed = all_killed[0][moment]
    await lab.until_state(killed.job, JobState.DONE, within_s=10)
    assert killed.recovered_s < RECOVERY_S
    await lab.check_nothing_lost_or_repeated(killed.job)


async def test_a_cancel_that_no_worker_heard_is_done_by_the_next_one(lab: Lab, all_killed: Recovered) -> None:
    _, job, cancelled_s = all_killed
    assert cancelled_s < RECOVERY_S
    assert not await lab.is_alive(job)
    await lab.check_nothing_held(job)
