"""What a silent guest's status in PVE means for its job."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import DashboardError, GuestUnreachableError, PhaseFailedError, UnreachableError
from lxc_dashboard.guest.supervisor import Outcome
from lxc_dashboard.proxmox.schemas import GuestStatus
from lxc_dashboard.services.creation.access import Entrance
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.steps import sync
from lxc_dashboard.services.creation.steps.start import START
from lxc_dashboard.services.creation.steps.sync import Liveness, refuse_stopped
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.worded import remedy

LONG_S = 1000.0
RUNNING = GuestStatus(101, "running", uptime=5000)
STOPPED = GuestStatus(101, "stopped")


class Pve(Entrance):
    """Returns the answers in turn, the last one repeatedly."""

    def __init__(self, *answers: GuestStatus | Exception | None) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self._last: Any = None
        self.asked = 0

    async def look(self) -> GuestStatus | None:
        self.asked += 1
        self._last = next(self._answers, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return cast("GuestStatus | None", self._last)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "STOPPED_FOR_S", 0.06)
    monkeypatch.setattr(sync, "LOOK_EVERY_S", 0.02)


async def judged(pve: Pve, *, watched_s: float = 0.0) -> Outcome | None:
    it = Liveness(pve)
    it._since -= watched_s
    return await it.judge()


async def test_one_that_runs_is_slow_and_asked_for_once() -> None:
    pve = Pve(RUNNING)
    assert await judged(pve, watched_s=LONG_S) is None
    assert pve.asked == 1


async def test_one_that_stays_stopped_is_stopped() -> None:
    pve = Pve(STOPPED)
    assert await judged(pve) is Outcome.STOPPED
    assert pve.asked >= 2


async def test_one_that_comes_up_again_was_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "STOPPED_FOR_S", LONG_S)
    pve = Pve(STOPPED, STOPPED, GuestStatus(101, "running", uptime=1))
    assert await judged(pve, watched_s=LONG_S) is Outcome.RESTARTED


@pytest.mark.parametrize("uptime", [LONG_S + 5000, LONG_S + 1, LONG_S - 1, 0])
async def test_one_that_was_up_before_is_the_same(uptime: float) -> None:
    """The uptime is in whole seconds. PVE may also report none."""
    assert await judged(Pve(GuestStatus(101, "running", uptime=int(uptime))), watched_s=LONG_S) is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        UnreachableError(),
        TimeoutError(),
        GuestStatus(101, "stopped", lock="migrate"),
        GuestStatus(101, "running", lock="backup", uptime=1),
        GuestStatus(101, "unknown"),
    ],
)
async def test_what_pve_does_not_know_or_does_itself_is_left(answer: GuestStatus | Exception | None) -> None:
    assert await judged(Pve(answer), watched_s=LONG_S) is None


def finishing(pve: Pve, *done: str) -> RunContext:
    """A job whose scripts have all run."""
    recorder = SimpleNamespace(step=Phase.FINALIZING)
    parts = {"entrance": pve, "checkpoint": Checkpoint(done=list(done)), "guest": SimpleNamespace(vmid=101)}
    return cast("RunContext", SimpleNamespace(recorder=recorder, **parts))


async def test_a_guest_that_is_found_stopped_between_steps_ends_the_run() -> None:
    with pytest.raises(PhaseFailedError, match="CT 101 was stopped: a script powered it off") as caught:
        await refuse_stopped(finishing(Pve(STOPPED), START), GuestUnreachableError())
    assert "starts it again" in remedy(caught.value)


@pytest.mark.parametrize(
    ("answer", "done", "error"),
    [
        (RUNNING, [START], GuestUnreachableError()),
        (STOPPED, [], GuestUnreachableError()),
        (STOPPED, [START], UnreachableError()),
    ],
    ids=["runs", "not started yet", "not the door's failure"],
)
async def test_any_other_run_goes_on(answer: GuestStatus, done: list[str], error: DashboardError) -> None:
    await refuse_stopped(finishing(Pve(answer), *done), error)
