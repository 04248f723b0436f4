"""Stopping what a cancelled run has begun, in PVE and in the guest, within 15 s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.access.entrance import unlock
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.failures import FailureCode
from lxc_dashboard.services.creation.removal import leftovers, ownership
from lxc_dashboard.services.creation.steps import create, deploy, finalize, start, sync
from lxc_dashboard.services.creation.steps.guest_steps import fit_name
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, noted_step, stop_task
from lxc_dashboard.services.jobs.kinds import Left

if TYPE_CHECKING:
    from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

log = structlog.get_logger(__name__)

# With the second that it takes to notice, 15 s in all. PVE gives a task 5 s to end, the supervisor a script.
STOP_WITHIN_S: Final = 9.5
LOOK_WITHIN_S: Final = 2.5
LOOK_AGAIN_WITHIN_S: Final = 2.0  # at what did not answer in all that time: PVE says twice, 1 s apart, what is gone
CLEAR_WITHIN_S: Final = 1.0  # and whatever the stop did not need
IN_GUEST: Final = ("packages.", "script.")
TASKS: Final[dict[str, Callable[[RunContext], PveStep | None]]] = {
    create.CREATE: create.create_step,
    start.START: start.start_step,
    leftovers.STOP: noted_step,
    leftovers.DELETE: noted_step,
}
IN_PVE: Final = frozenset({*TASKS, downloads.STEP})


async def stop(ctx: RunContext) -> Left:
    """End the step that is under way, and clear our own from the guest."""
    until = asyncio.get_running_loop().time() + STOP_WITHIN_S + CLEAR_WITHIN_S
    active = under_way(ctx)
    hindrance = await _stop_step(ctx, active)
    if not hindrance:
        await _clear(ctx, until)
    within_s = LOOK_AGAIN_WITHIN_S if hindrance else LOOK_WITHIN_S
    remains, locked = await asyncio.gather(_look(ctx, within_s), _lock(ctx, within_s))
    goes_on = hindrance if remains or active in IN_PVE else None
    if goes_on:
        code = CreationCode.TASK_GOES_ON if active in IN_PVE else CreationCode.GUEST_GOES_ON
        ctx.tell(code, EventType.WARNING, reason=goes_on)
    key_owed = remains and not locked and finalize.was_tried(ctx)
    if remains and not locked:
        ctx.tell(CreationCode.KEY_STAYS_YET if key_owed else CreationCode.KEY_STAYS, EventType.WARNING)
    return Left(remains, owes=bool(goes_on) or key_owed)


def stop_without_pve(recorder: Recorder, error: DashboardError) -> Left:
    """The run has nothing to enter PVE with: what is under way is named, for people to end."""
    active = recorder.checkpoint.active
    if active in IN_PVE or runs_in_guest(recorder.checkpoint):
        code = CreationCode.TASK_MAY_GO_ON if active in IN_PVE else CreationCode.GUEST_MAY_GO_ON
        recorder.tell(code, EventType.WARNING, reason=error.reason)
    return Left(remains=ownership.may_be_made(recorder.checkpoint), owes=False)


def under_way(ctx: RunContext) -> str:
    """The step to be ended; empty where there is none. What runs in the guest may have begun a moment before its worker
    died, with no word of it stored: to end one that never began is to keep it from beginning.
    """
    checkpoint = ctx.checkpoint
    is_known = checkpoint.active.startswith(IN_GUEST) or checkpoint.active in checkpoint.intent
    if is_known or not runs_in_guest(checkpoint):
        return checkpoint.active
    return next((step.key for step in sync.steps_of(ctx) if not checkpoint.is_done(step.key)), "")


def runs_in_guest(checkpoint: Checkpoint) -> bool:
    """Whether packages and scripts have had their turn and are not known to be over."""
    begun, over = (checkpoint.is_done(f"{edge}.{Phase.SYNCING}") for edge in ("begin", "phase"))
    return begun and not over and (checkpoint.is_done(deploy.PREPARE) or _was_left(checkpoint))


def _was_left(checkpoint: Checkpoint) -> bool:
    """Whether the try before this one lost the guest in the middle of a step, and this one has not come to it yet."""
    told = (key for key in checkpoint.told if key.startswith(IN_GUEST))
    return deploy.was_prepared(checkpoint) and any(not checkpoint.is_done(key.partition(":")[0]) for key in told)


async def _look(ctx: RunContext, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await _remains(ctx)
    except (DashboardError, TimeoutError) as error:
        log.warning("container not looked for", job_id=str(ctx.job_id), why=str(error))
        return True


async def _lock(ctx: RunContext, within_s: float) -> bool:
    """A cancelled run is not run again: its key goes out of the guest. False where it stays there."""
    if ctx.door_key is None:
        return True
    if ctx.door is None or not ctx.checkpoint.is_done(deploy.PREPARE):
        return False
    try:
        async with asyncio.timeout(within_s):
            await finalize.lock(ctx, ctx.door, ctx.door_key)
    except (DashboardError, TimeoutError) as error:
        log.warning("key not taken out", job_id=str(ctx.job_id), why=str(error))
        return False
    return True


async def _stop_step(ctx: RunContext, active: str) -> Message | None:
    """Why the step may still be under way; None where it is not."""
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            if active == downloads.STEP:
                await downloads.stop(ctx)
            elif active in TASKS:
                if step := TASKS[active](ctx):
                    await stop_task(ctx, step)
            elif active.startswith(IN_GUEST):
                await Supervisor(deploy.door_of(ctx, ctx.recorder.step)).stop(fit_name(ctx.checkpoint.run_of(active)))
    except (DashboardError, TimeoutError) as error:
        why = error.reason if isinstance(error, DashboardError) else Message.of(FailureCode.STOP_TIMEOUT)
        log.warning("step not stopped", job_id=str(ctx.job_id), step=active, why=str(error))
        return why
    return None


async def _clear(ctx: RunContext, until: float) -> None:
    """A cancelled run is not taken up again: supervisor, helpers and output have no more use in the guest."""
    if ctx.door is None or not deploy.was_prepared(ctx.checkpoint):
        return
    try:
        async with asyncio.timeout_at(until):
            await Supervisor(ctx.door).remove()
    except (DashboardError, TimeoutError) as error:
        log.info("guest not cleared", job_id=str(ctx.job_id), why=str(error))


async def _remains(ctx: RunContext) -> bool:
    guest = ctx.guest
    if not ownership.may_be_made(ctx.checkpoint):
        return False
    place = await ownership.locate(ctx.client, guest.node, guest.vmid)
    claim = ownership.claim_of(ctx)
    if place is None or not await ownership.is_ours(ctx.client, claim, place.node):
        return False
    if place.guest.lock == ownership.CREATE_LOCK and await ownership.lock_is_ours(ctx.client, claim, place.node):
        await _lift_lock(ctx)
    return True


async def _lift_lock(ctx: RunContext) -> None:
    """PVE leaves it behind a create that was killed, and then refuses the delete; only root on the node can lift it."""
    guest = ctx.guest
    try:
        if await unlock(ctx.rt, ctx.client, ctx.endpoint_id, guest.node, guest.vmid):
            ctx.tell(CreationCode.LOCK_LIFTED)
            return
    except DashboardError as error:
        log.warning("lock not lifted", job_id=str(ctx.job_id), why=str(error))
    ctx.tell(CreationCode.LOCK_STAYS, EventType.WARNING, vmid=guest.vmid, node=guest.node)
