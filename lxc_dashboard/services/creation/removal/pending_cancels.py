"""What cancelled runs had begun and could not end, since PVE or the door did not answer: tried by schedule until it is over.

Each acts as its user, with the copy of the ticket that it keeps for this; when that is worth nothing any more, it is given up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import AuditResult, EventType, Job
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.errors import DashboardError, ServiceUnavailableError, SessionExpiredError, TokenRefusedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access.doors import NoWay
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.opening import open_context
from lxc_dashboard.services.creation.removal import cancel as cancelling
from lxc_dashboard.services.creation.removal import ownership
from lxc_dashboard.services.creation.steps import finalize
from lxc_dashboard.services.jobs.engine import ending
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.engine.ending import new_owner
from lxc_dashboard.services.jobs.engine.recorder import Recorder

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

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
        if cancelling.under_way(ctx) in cancelling.IN_PVE:
            owes = (await cancelling.stop(ctx)).owes
            return None if owes else Message.of(CreationCode.SETTLED_TASK, vmid=ctx.guest.vmid)
        return await _end_in_guest(ctx)
    finally:
        if not isinstance(ctx.entrance, NoWay):
            await ctx.entrance.close()


async def _end_in_guest(ctx: RunContext) -> Message | None:
    place = await ownership.locate(ctx.client, ctx.guest.node, ctx.guest.vmid)
    if place is None or not await ownership.is_ours(ctx.client, ownership.claim_of(ctx), place.node):
        return Message.of(CreationCode.SETTLED_GONE, vmid=ctx.guest.vmid)
    in_guest = cancelling.runs_in_guest(ctx.checkpoint)
    if place.guest.running and (await cancelling.stop(ctx)).owes:
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
