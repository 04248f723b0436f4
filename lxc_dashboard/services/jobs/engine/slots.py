"""The slots of a node: how many containers it makes at once, whatever the number of workers.

A job takes a slot, or waits in the queue without a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.repositories.leases import Held
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.kinds import StandstillError

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.run import Run

SLOT: Final = "create.slot"


async def take(run: Run, *, begun: bool) -> None:
    """Take a slot on the run's node. Raises ``StandstillError`` if the node has none.

    ``begun``: PVE was asked already, so the limit does not apply.
    """
    node, limit = run.guest.node, run.rt.settings.CREATES_PER_NODE
    async with run.rt.db.transaction() as tx:
        ahead = await tx.slots.take(_held(run), node, limit, anyway=begun)
    if ahead:
        await _wait(run, ahead)
    run.holds_slot = True
    if run.checkpoint.active == SLOT:
        run.checkpoint.active = ""


async def _wait(run: Run, ahead: int) -> None:
    node, limit = run.guest.node, run.rt.settings.CREATES_PER_NODE
    run.checkpoint.active = SLOT
    run.tell_once(SLOT, JobCode.SLOT_AWAITED, count=ahead, node=node)
    await run.recorder.flush()
    async with run.rt.db.transaction() as tx:
        waits = await tx.slots.wait_in_line(_held(run), node, limit)
    if waits:
        raise StandstillError


async def give(run: Run) -> None:
    """Release the run's slot and wake the next jobs."""
    if not run.holds_slot:
        return
    async with run.rt.db.transaction() as tx:
        limit, again_after_s = run.rt.settings.CREATES_PER_NODE, run.rt.timing.enqueue_again_s
        ids = await tx.slots.give(_held(run), run.guest.node, limit, again_after_s=again_after_s)
    run.holds_slot = False
    await _hand_out(run.rt, ids)


async def wake(rt: Runtime, endpoint_id: UUID, node: str) -> int:
    """Enqueue the oldest waiting jobs that the node has room for. Returns their number."""
    async with rt.db.transaction() as tx:
        limit, again_after_s = rt.settings.CREATES_PER_NODE, rt.timing.enqueue_again_s
        ids = await tx.slots.wake(endpoint_id, node, limit, again_after_s=again_after_s)
    await _hand_out(rt, ids)
    return len(ids)


async def wake_all(rt: Runtime) -> int:
    """``wake`` on every node where jobs wait, for slots whose holder died with its worker."""
    async with rt.db.transaction() as tx:
        wanted = await tx.slots.nodes_in_demand()
    return sum([await wake(rt, endpoint_id, node) for endpoint_id, node in wanted])


def _held(run: Run) -> Held:
    return Held(run.job_id, run.endpoint_id, run.recorder.owner)


async def _hand_out(rt: Runtime, ids: Sequence[UUID]) -> None:
    for job_id in ids:
        await enqueue(rt, job_id)
