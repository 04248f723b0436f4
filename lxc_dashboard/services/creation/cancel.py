"""Cancels creations: stops a job's task in PVE and its step in the guest within 15 s.

A cancelled job without a worker and with nothing running ends at once. If PVE or the door prevents the stop, it is
retried by schedule. A job acts as its user, with its own copy of the ticket. Without a valid ticket, the retries end.
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
from lxc_dashboard.services.creation import downloads, ownership
from lxc_dashboard.services.creation.access import NoWay, unlock
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.opening import open_context
from lxc_dashboard.services.creation.steps import create, deploy, finalize, start, sync
from lxc_dashboard.services.creation.steps.sync import fit_name
from lxc_dashboard.services.jobs.engine import ending, slots
from lxc_dashboard.services.jobs.engine.ending import Ending, new_owner
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, noted_step, stop_task
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.kinds import Kind, Left

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

_IDLE: Final = frozenset({"", slots.SLOT, create.CHECK, create.PAUSE})


def is_idle(checkpoint: Checkpoint) -> bool:
    """Whether nothing runs for the job in PVE or in the guest, and the guest has none of our files."""
    if deploy.was_prepared(checkpoint) or _may_have_left_something(checkpoint):
        return False
    return checkpoint.active in _IDLE or checkpoint.active.startswith("begin.")


def _may_have_left_something(checkpoint: Checkpoint) -> bool:
    """Whether a create began, in this try or an earlier one, and did not succeed."""
    began = create.CREATE in checkpoint.intent or create.CREATE in checkpoint.runs
    return began and not checkpoint.is_done(create.CREATE)


async def end(kind: Kind[Any], rt: Runtime, creation: Job) -> bool:
    """End a cancelled job without a worker; return whether it ended. False: a worker must end it, or already does."""
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


# With 1 s to notice the cancel, 15 s in all. PVE gives a task 5 s to end; the supervisor gives a script 5 s.
STOP_WITHIN_S: Final = 9.5
LOOK_WITHIN_S: Final = 2.5
LOOK_AGAIN_WITHIN_S: Final = 2.0  # after a stop without an answer; `has_no_guest` asks PVE twice, 1 s apart
CLEAR_WITHIN_S: Final = 1.0  # and the time that the stop did not need
IN_GUEST: Final = ("packages.", "script.")
TASKS: Final[dict[str, Callable[[RunContext], PveStep | None]]] = {
    create.CREATE: create.create_step,
    start.START: start.start_step,
    ownership.STOP: noted_step,
    ownership.DELETE: noted_step,
}
IN_PVE: Final = frozenset({*TASKS, downloads.STEP})


async def stop(ctx: RunContext) -> Left:
    """Stop the running step, and remove our files and key from the guest."""
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
    """Report what may still run, for users to end, if the job has no valid sign-in for PVE."""
    active = recorder.checkpoint.active
    if active in IN_PVE or runs_in_guest(recorder.checkpoint):
        code = CreationCode.TASK_MAY_GO_ON if active in IN_PVE else CreationCode.GUEST_MAY_GO_ON
        recorder.tell(code, EventType.WARNING, reason=error.reason)
    return Left(remains=ownership.may_be_made(recorder.checkpoint), owes=False)


def under_way(ctx: RunContext) -> str:
    """The step to stop; empty if there is none.

    A step in the guest may have begun just before its worker died, without any record of it. Stopping a step that never
    began keeps it from beginning.
    """
    checkpoint = ctx.checkpoint
    is_known = checkpoint.active.startswith(IN_GUEST) or checkpoint.active in checkpoint.intent
    if is_known or not runs_in_guest(checkpoint):
        return checkpoint.active
    return next((step.key for step in sync.steps_of(ctx) if not checkpoint.is_done(step.key)), "")


def runs_in_guest(checkpoint: Checkpoint) -> bool:
    """Whether packages and scripts have begun and are not known to have ended."""
    begun, over = (checkpoint.is_done(f"{edge}.{Phase.SYNCING}") for edge in ("begin", "phase"))
    return begun and not over and (checkpoint.is_done(deploy.PREPARE) or _was_left(checkpoint))


def _was_left(checkpoint: Checkpoint) -> bool:
    """Whether an earlier try lost the guest during a step that this try has not reached yet."""
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
    """Remove the job's key from the guest, as the job is never run again. False if the key stays."""
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
    """Stop the step; return why it may still run, None if it does not."""
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
    """Remove supervisor, helpers and output from the guest, as the job is never run again."""
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
    """Lift the lock of a killed create, with which PVE refuses the delete. Only root on the node can lift it."""
    guest = ctx.guest
    try:
        if await unlock(ctx.rt, ctx.client, ctx.endpoint_id, guest.node, guest.vmid):
            ctx.tell(CreationCode.LOCK_LIFTED)
            return
    except DashboardError as error:
        log.warning("lock not lifted", job_id=str(ctx.job_id), why=str(error))
    ctx.tell(CreationCode.LOCK_STAYS, EventType.WARNING, vmid=guest.vmid, node=guest.node)


# If PVE hangs, a pass outlasts the schedule's interval, and each pass holds a thread.
TRIED_AT_ONCE: Final = 50
TRY_WITHIN_S: Final = 20.0
CLAIM_S: Final = 30.0


async def settle_due(rt: Runtime) -> int:
    """Retry what cancels could not end; return how many jobs are settled. Skips jobs that another pass tries now."""
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
        # One job must not stop the others.
        log.exception("cancelled creation not settled", job_id=str(creation.id))
    return False


async def _try(rt: Runtime, creation: Job) -> bool:
    try:
        told = await _end(rt, creation)
    except (SessionExpiredError, TokenRefusedError):
        return await _write(rt, creation, Message.of(CreationCode.GIVEN_UP), EventType.WARNING)
    return told is not None and await _write(rt, creation, told)


async def _end(rt: Runtime, creation: Job) -> Message | None:
    """Try to stop what the job left running; return the message for its last event, None if something still runs."""
    owner = new_owner()
    # Never started, so that events of a try are not stored.
    recorder = Recorder(rt, creation.id, owner, Checkpoint.from_json(creation.checkpoint), rt.timing.lease_s)
    recorder.checkpoint.facts[finalize.LOCKING] = True  # the answer may be lost: a refused key counts as removed
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
        return None  # the key can only be removed from a running guest
    return Message.of(CreationCode.SETTLED_GUEST if in_guest else CreationCode.SETTLED_KEY)


async def _write(rt: Runtime, creation: Job, message: Message, kind: EventType = EventType.STEP) -> bool:
    event = NewEvent(kind, creation.step, creation.percent, code=message.code, params=message.params)
    async with rt.db.transaction() as tx:
        settled = await tx.tickets.settle(creation.id, event)
        if settled:
            result = AuditResult.OK if kind is EventType.STEP else AuditResult.FAILED
            await ending.audit(tx, creation, "creation.settled", result, {"told": message.code})
    return settled
