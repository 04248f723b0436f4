"""Cancelling a creation: what its run has begun in PVE and in the guest is stopped within 15 s.

A cancelled run that nobody works on and that has nothing under way ends at once. One that PVE or the door did not let end is
tried again by schedule. Each acts as its user, with its own copy of the ticket; without a valid one, it is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from lxc_dashboard.db.models import AuditResult, EventType, Job, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.errors import DashboardError, ServiceUnavailableError, SessionExpiredError, TokenRefusedError
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.access.doors import NoWay
from lxc_dashboard.services.creation.access.entrance import unlock
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.opening import open_context
from lxc_dashboard.services.creation.removal import leftovers, ownership
from lxc_dashboard.services.creation.steps import create, deploy, finalize, pause, start, sync
from lxc_dashboard.services.creation.steps.guest_steps import fit_name
from lxc_dashboard.services.jobs.engine import ending, slots
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.engine.ending import Ending, new_owner
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, noted_step, stop_task
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.kinds import Kind, Left

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime


_IDLE: Final = frozenset({"", slots.SLOT, create.CHECK, pause.PAUSE})


def is_idle(checkpoint: Checkpoint) -> bool:
    """Whether neither PVE nor the guest does anything for the run, and nothing of ours is in the guest."""
    if deploy.was_prepared(checkpoint) or _may_have_left_something(checkpoint):
        return False
    return checkpoint.active in _IDLE or checkpoint.active.startswith("begin.")


def _may_have_left_something(checkpoint: Checkpoint) -> bool:
    """A create that did not succeed, of this try or one before."""
    began = create.CREATE in checkpoint.intent or create.CREATE in checkpoint.runs
    return began and not checkpoint.is_done(create.CREATE)


async def end(kind: Kind[Any], rt: Runtime, creation: Job) -> bool:
    """Whether the run, which was asked to stop, has ended. False: a worker has to do it, or does it already."""
    checkpoint = Checkpoint.from_json(creation.checkpoint)
    keeps_a_key = checkpoint.is_done(create.CREATE) and creation.secrets_enc is not None
    if keeps_a_key or not is_idle(checkpoint):
        return False
    owner = new_owner()
    async with rt.db.transaction() as tx:
        taken = await tx.leases.acquire(creation.id, owner, rt.timing.lease_s)
    if taken is None:
        return False
    recorder = Recorder(rt, taken.id, owner, checkpoint, rt.timing.lease_s)
    try:
        await recorder.start(taken.step, taken.percent)
        await Ending(kind, rt, taken, recorder).cancelled(Left(checkpoint.is_done(create.CREATE)))
    except LeaseLostError:
        return False
    finally:
        await recorder.close()
    return True


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


# With a PVE that hangs, a pass takes longer than the schedule's next turn, and each holds a thread.
TRIED_AT_ONCE: Final = 50
TRY_WITHIN_S: Final = 20.0
CLAIM_S: Final = 30.0


async def settle_due(rt: Runtime) -> int:
    """Try to end what is owed. How many runs owe nothing any more; none of those that another pass tries just now."""
    try:
        async with rt.db.transaction() as tx:
            owing = await tx.tickets.claim_owing(TRIED_AT_ONCE, CLAIM_S)
        if not owing:
            return 0
        settled = await asyncio.gather(*(_settle(rt, creation) for creation in owing))
        async with rt.db.transaction() as tx:
            await tx.tickets.release_owing([creation.id for creation in owing])
        return sum(settled)
    except ServiceUnavailableError as error:
        log.warning("nothing settled", why=str(error))
        return 0


async def _settle(rt: Runtime, creation: Job) -> bool:
    try:
        async with asyncio.timeout(TRY_WITHIN_S):
            return await _try(rt, creation)
    except (DashboardError, TimeoutError) as error:
        log.info("cancelled creation not settled yet", job_id=str(creation.id), why=str(error))
    except Exception:
        # One run hinders no other, whatever it brings.
        log.exception("cancelled creation not settled", job_id=str(creation.id))
    return False


async def _try(rt: Runtime, creation: Job) -> bool:
    try:
        told = await _end(rt, creation)
    except (SessionExpiredError, TokenRefusedError):
        return await _write(rt, creation, Message.of(CreationCode.GIVEN_UP), EventType.WARNING)
    return told is not None and await _write(rt, creation, told)


async def _end(rt: Runtime, creation: Job) -> Message | None:
    """What to tell when all is over; None where it is not."""
    owner = new_owner()
    # Never started: what a try has to say is for nobody.
    recorder = Recorder(rt, creation.id, owner, Checkpoint.from_json(creation.checkpoint), rt.timing.lease_s)
    recorder.checkpoint.facts[finalize.LOCKING] = True  # an answer that was lost: refused by now, it is out
    recorder.step, recorder.percent = creation.step, creation.percent
    ctx = await open_context(rt, creation, recorder)
    try:
        if under_way(ctx) in IN_PVE:
            owes = (await stop(ctx)).owes
            return None if owes else Message.of(CreationCode.SETTLED_TASK, vmid=ctx.guest.vmid)
        return await _end_in_guest(ctx)
    finally:
        if not isinstance(ctx.entrance, NoWay):
            await ctx.entrance.close()


async def _end_in_guest(ctx: RunContext) -> Message | None:
    place = await ownership.locate(ctx.client, ctx.guest.node, ctx.guest.vmid)
    if place is None or not await ownership.is_ours(ctx.client, ownership.claim_of(ctx), place.node):
        return Message.of(CreationCode.SETTLED_GONE, vmid=ctx.guest.vmid)
    in_guest = runs_in_guest(ctx.checkpoint)
    if place.guest.running and (await stop(ctx)).owes:
        return None
    if not place.guest.running and ctx.door_key is not None:
        return None  # the key can be taken out of a guest that runs
    return Message.of(CreationCode.SETTLED_GUEST if in_guest else CreationCode.SETTLED_KEY)


async def _write(rt: Runtime, creation: Job, message: Message, kind: EventType = EventType.STEP) -> bool:
    event = NewEvent(kind, creation.step, creation.percent, code=message.code, params=message.params)
    async with rt.db.transaction() as tx:
        settled = await tx.tickets.settle(creation.id, event)
        if settled:
            result = AuditResult.OK if kind is EventType.STEP else AuditResult.FAILED
            await ending.audit(tx, creation, "creation.settled", result, {"told": message.code})
    return settled
