"""Kill -9 of the worker in every phase and between steps: the next worker continues, and nothing is lost or repeated.

A worker is killed while several creations wait at chosen moments. Some of what it began ends before the next worker
starts, and some only after that.
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
from lxc_dashboard.settings import Timing
from tests.integration.faults.gates import CREATE, START, Gate
from tests.integration.faults.lab import RECOVERY_S, AskedJob, Lab
from tests.integration.faults.templates import LINES

# The first test of a round waits for the whole round: 20 s, and more than 40 s on a busy machine.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Moment:
    """The point of a creation at which its worker dies.

    ``gate``: the act that the sandbox holds, ``after`` or before it takes effect. ``step``, without a gate: the step
    of the template that waits in its middle. ``late``: release only after the next worker has taken the creation.
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
# Each round has moments of every phase. All moments at once would measure the machine, not the recovery.
ROUNDS = tuple(MOMENTS[first::3] for first in range(3))
QUICK_ROUND = 0
EACH = [
    pytest.param(number, moment.name, marks=[pytest.mark.full] * (number != QUICK_ROUND), id=moment.name)
    for number, moments in enumerate(ROUNDS)
    for moment in moments
]
STEPS = ("tool", "first", "second")


@pytest.fixture(scope="module")
def timing() -> Timing:
    """The product's default times."""
    return Timing()


@dataclass
class Killed:
    """A creation at its moment. ``recovered_s``: seconds from the next worker's start to the creation's end."""

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
    """Begin the creation that is cancelled while no worker runs."""
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


@dataclass(frozen=True)
class Recovered:
    """``killed``: by the name of the moment. ``cancelled_s``: seconds until the cancelled creation ended."""

    killed: Mapping[str, Killed]
    given_up: AskedJob
    cancelled_s: float


async def kill_and_recover(lab: Lab, moments: Sequence[Moment]) -> Recovered:
    """Kill the worker of the creations at all moments, and let the next worker finish them."""
    worker = await lab.need_worker()
    given_up = await begin_cancelled(lab)
    found = await asyncio.gather(*(begin(lab, moment) for moment in moments))
    worker.kill()
    await service.cancel(lab.rt, lab.session, given_up.id)
    await asyncio.gather(*(killed.release(lab) for killed in found if not killed.moment.late))
    loop = asyncio.get_running_loop()
    returned_s = loop.time()
    lab.start_worker()
    ending = asyncio.gather(*(recover(lab, killed, returned_s) for killed in found), return_exceptions=True)
    await lab.until_state(given_up, JobState.CANCELLED)
    cancelled_s = loop.time() - returned_s
    await ending
    return Recovered({killed.moment.name: killed for killed in found}, given_up, cancelled_s)


class Rounds:
    """Runs each round once, for the first test that needs it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._done: dict[int, Recovered] = {}

    async def recovered(self, number: int) -> Recovered:
        if number not in self._done:
            self._done[number] = await kill_and_recover(self._lab, ROUNDS[number])
        return self._done[number]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rounds(lab: Lab) -> Rounds:
    return Rounds(lab)


@pytest.mark.parametrize(("number", "moment"), EACH)
async def test_the_next_worker_makes_it_ready_and_nothing_is_lost_or_repeated(
    lab: Lab, rounds: Rounds, number: int, moment: str
) -> None:
    killed = (await rounds.recovered(number)).killed[moment]
    await lab.until_state(killed.job, JobState.DONE, within_s=10)
    assert killed.recovered_s < RECOVERY_S
    await lab.check_nothing_lost_or_repeated(killed.job)


async def test_a_cancel_that_no_worker_heard_is_done_by_the_next_one(lab: Lab, rounds: Rounds) -> None:
    round_ = await rounds.recovered(QUICK_ROUND)
    assert round_.cancelled_s < RECOVERY_S
    assert not await lab.is_alive(round_.given_up)
    await lab.check_nothing_held(round_.given_up)
