"""Every answer of PVE's API and of the node's SSH is five seconds late during a whole creation.

One creation would wait minutes for about forty answers. So several creations run in parallel, each at another phase
when the node becomes slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lxc_dashboard.db.models import JobState
from tests.integration.faults.gates import Gate
from tests.integration.faults.lab import AskedJob, Lab

pytestmark = [pytest.mark.full, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

LATE_S = 5.0
# The door delays a command twice: before it starts and before its output.
DOOR_LATE_S = LATE_S / 2
PART_WITHIN_S = 200.0
INIT_IS_ASKED, PORTS_ARE_READ = "is-system-running", "/proc/net/tcp"


@asynccontextmanager
async def slow_node(lab: Lab) -> AsyncIterator[None]:
    door = lab.sandbox._door
    assert door is not None
    lab.sandbox.slow(LATE_S)
    door.latency_s = DOOR_LATE_S
    try:
        yield
    finally:
        lab.sandbox.slow(0)
        door.latency_s = 0


async def held_at(lab: Lab, words: str) -> tuple[AskedJob, Gate]:
    """Start a creation and wait until a gate holds its command with these words."""
    vmid = lab.next_vmid()
    gate = lab.gates.hold(vmid, words)
    job = await lab.request("steps", vmid)
    await lab.until(gate.reached.is_set, words)
    return job, gate


async def installing(lab: Lab) -> AskedJob:
    job = await lab.request("waits")
    await lab.until_said(job, "installing")
    return job


async def until_said(lab: Lab, job: AskedJob, text: str) -> None:
    await lab.until(lambda: lab.has_said(job, text), f"{job.hostname} said {text!r}", within_s=PART_WITHIN_S)


async def test_a_creation_is_only_slower_where_every_answer_takes_five_seconds(lab: Lab) -> None:
    await lab.need_worker()
    (booting, init), (finishing, ports), syncing = await asyncio.gather(
        held_at(lab, INIT_IS_ASKED), held_at(lab, PORTS_ARE_READ), installing(lab)
    )
    async with slow_node(lab):
        init.open()
        ports.open()
        asked, _ = await asyncio.gather(lab.request("steps"), lab.go(syncing, "tool", "first", "second"))
        await asyncio.gather(
            until_said(lab, asked, "PVE started it"),
            until_said(lab, booting, "/etc/notice.txt: written"),
            until_said(lab, syncing, "/opt/late/late.txt: written after the scripts"),
            lab.until_state(finishing, JobState.DONE, within_s=PART_WITHIN_S),
        )
        assert await lab.state(asked) is JobState.RUNNING
    for job in (asked, booting, syncing, finishing):
        await lab.until_state(job, JobState.DONE)
        await lab.check_nothing_lost_or_repeated(job)
        assert (await lab.row(job)).attempt == 1
