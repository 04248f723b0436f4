"""SSH and the API become unreachable during a job: it waits for them and starts nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from lxc_dashboard.db.models import JobState
from pve_sandbox.ssh.door import SshDoor
from tests.integration.faults.gates import CREATE
from tests.integration.faults.lab import AskedJob, Lab
from tests.integration.faults.templates import LINES

pytestmark = pytest.mark.asyncio(loop_scope="module")

AWAY_S = 5.0


def door_of(lab: Lab) -> SshDoor:
    door = lab.sandbox._door
    assert door is not None
    return door


async def for_a_while(lab: Lab) -> None:
    """Wait for the length of the outage."""
    loop = asyncio.get_running_loop()
    back_at = loop.time() + AWAY_S
    await lab.until(lambda: loop.time() >= back_at, "it was away long enough")


async def finish(lab: Lab, job: AskedJob) -> None:
    await lab.go(job, "tool", "first", "second")
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)


async def test_dropped_ssh_connections_do_not_run_a_script_twice(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    worker = await lab.need_worker()
    for _ in range(3):
        times = worker.said().count("ssh connected")
        assert door_of(lab).drop_connections() > 0
        await lab.until(lambda times=times: worker.said().count("ssh connected") > times, "it is connected again")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    await lab.go(job, "first")
    await lab.until_said(job, f"second line {LINES}")
    door_of(lab).drop_connections()
    await finish(lab, job)


@pytest.mark.full
async def test_what_a_script_prints_while_ssh_is_away_is_told_when_it_is_back(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    door = door_of(lab)
    await lab.go(job, "first")
    door.refuse = True
    door.drop_connections()
    await for_a_while(lab)
    door.refuse = False
    await finish(lab, job)


@pytest.mark.full
async def test_an_api_that_does_not_answer_while_a_script_runs_is_waited_for(lab: Lab) -> None:
    await lab.need_worker()
    job = await lab.in_the_first_script()
    lab.sandbox.mute()

    def is_missed() -> bool:
        door_of(lab).drop_connections()  # each new connection checks the user's privileges at PVE
        return lab.sandbox.faults.unanswered > 0

    await lab.until(is_missed, "PVE was asked")
    await for_a_while(lab)
    lab.sandbox.mute(False)
    await finish(lab, job)


@pytest.mark.full
async def test_an_api_that_is_away_while_pve_creates_the_container_is_waited_for(lab: Lab) -> None:
    job, gate = await lab.request_held("steps", CREATE)
    lab.sandbox.drop(1.0)
    gate.open()
    await for_a_while(lab)
    lab.sandbox.drop(0.0)
    await lab.until_state(job, JobState.DONE)
    await lab.check_nothing_lost_or_repeated(job)


@pytest.mark.parametrize(("suffix", "kind"), [("/lxc", "vzcreate"), ("/status/start", "vzstart")])
async def test_an_answer_that_is_lost_after_it_took_effect_makes_no_second_task(
    lab: Lab, suffix: str, kind: str
) -> None:
    await lab.need_worker()
    lab.sandbox.lose_write(suffix, before=False)
    job = await lab.request()
    await lab.until_state(job, JobState.DONE)
    assert lab.sandbox.faults.writes == []
    assert len(lab.tasks_of(job, kind)) == 1
    await lab.check_nothing_lost_or_repeated(job)
