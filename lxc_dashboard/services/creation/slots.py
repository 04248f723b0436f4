"""A node makes so many containers at once, whatever the number of workers: a run takes a slot, or waits in line without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.repositories.slots import Held
from lxc_dashboard.services.jobs.enqueue import enqueue
from lxc_dashboard.services.jobs.events import TURN

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.context import RunContext

SLOT: Final = "create.slot"


class InLineError(Exception):
    """Others come first on this node: the run was given back, and is handed out again when its turn comes."""


async def take(ctx: RunContext, *, begun: bool) -> None:
    """A slot on the run's node. ``begun``: PVE was asked already. Raises ``InLineError``."""
    node, limit = ctx.guest.node, ctx.rt.settings.CREATES_PER_NODE
    async with ctx.rt.db.transaction() as tx:
        ahead = await tx.jobs.take_slot(_held(ctx), node, limit, anyway=begun)
    if ahead:
        await _wait(ctx, ahead)
    ctx.holds_slot = True
    if ctx.checkpoint.active == SLOT:
        ctx.checkpoint.active = ""


async def _wait(ctx: RunContext, ahead: int) -> None:
    node, limit = ctx.guest.node, ctx.rt.settings.CREATES_PER_NODE
    ctx.checkpoint.active = SLOT
    ctx.tell_once(SLOT, f"{waits_for(ahead, node)} {TURN}")
    await ctx.recorder.flush()
    async with ctx.rt.db.transaction() as tx:
        waits = await tx.jobs.wait_in_line(_held(ctx), node, limit)
    if waits:
        raise InLineError


def waits_for(ahead: int, node: str) -> str:
    """``Waits for 2 others on pve1``."""
    return f"Waits for {ahead} {'other' if ahead == 1 else 'others'} on {node}"


async def give(ctx: RunContext) -> None:
    """The node is loaded no more by this run: the next one is woken."""
    if not ctx.holds_slot:
        return
    async with ctx.rt.db.transaction() as tx:
        ids = await tx.jobs.give_slot(_held(ctx), ctx.guest.node, ctx.rt.settings.CREATES_PER_NODE)
    ctx.holds_slot = False
    await _hand_out(ctx.rt, ids)


async def wake(rt: Runtime, endpoint_id: UUID, node: str) -> int:
    """Hand out the oldest runs that the node has room for. How many there were."""
    async with rt.db.transaction() as tx:
        ids = await tx.jobs.wake(endpoint_id, node, rt.settings.CREATES_PER_NODE)
    await _hand_out(rt, ids)
    return len(ids)


async def wake_all(rt: Runtime) -> int:
    """``wake`` wherever runs wait: for slots whose holder died with its worker."""
    async with rt.db.transaction() as tx:
        wanted = await tx.jobs.nodes_in_demand()
    return sum([await wake(rt, endpoint_id, node) for endpoint_id, node in wanted])


def _held(ctx: RunContext) -> Held:
    return Held(ctx.job_id, ctx.endpoint_id, ctx.recorder.owner)


async def _hand_out(rt: Runtime, ids: Sequence[UUID]) -> None:
    for job_id in ids:
        await enqueue(rt, job_id)
