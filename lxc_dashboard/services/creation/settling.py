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
from lxc_dashboard.services.creation import cancelling, ownership
from lxc_dashboard.services.creation.doors import NoWay
from lxc_dashboard.services.creation.opening import open_context
from lxc_dashboard.services.creation.phases import finalize
from lxc_dashboard.services.jobs import ending
from lxc_dashboard.services.jobs.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.lease import LEASE_S, new_owner
from lxc_dashboard.services.jobs.recorder import Recorder

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

# With a PVE that hangs, a pass takes longer than the schedule's next turn, and each holds a thread.
TRIED_AT_ONCE: Final = 50
TRY_WITHIN_S: Final = 20.0
CLAIM_S: Final = 30.0
GUEST_ENDED: Final = "What ran in the guest is ended now"
TASK_ENDED: Final = "The task of CT {vmid} in PVE is over now"
KEY_OUT: Final = "The key of this creation is out of the guest now"
GIVEN_UP: Final = "The sign-in of this job has ended: what it could not end is not tried any more"
GONE: Final = "CT {vmid} is gone from PVE, or is another one by now: nothing of this job runs in it"


async def settle_due(rt: Runtime) -> int:
    """Try to end what is owed. How many runs owe nothing any more; none of those that another pass tries just now."""
    try:
        async with rt.db.transaction() as tx:
            owing = await tx.jobs.claim_owing(TRIED_AT_ONCE, CLAIM_S)
        if not owing:
            return 0
        settled = await asyncio.gather(*(_settle(rt, creation) for creation in owing))
        async with rt.db.transaction() as tx:
            await tx.jobs.release_owing([creation.id for creation in owing])
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
        return await _write(rt, creation, GIVEN_UP, EventType.WARNING)
    return bool(told) and await _write(rt, creation, told)


async def _end(rt: Runtime, creation: Job) -> str:
    """What there is to say of it when all is over; empty where it is not."""
    owner = new_owner()
    # Never started: what a try has to say is for nobody.
    recorder = Recorder(rt, creation.id, owner, Checkpoint.from_json(creation.checkpoint), LEASE_S)
    recorder.checkpoint.facts[finalize.LOCKING] = True  # an answer that was lost: refused by now, it is out
    recorder.step, recorder.percent = creation.step, creation.percent
    ctx = await open_context(rt, creation, recorder)
    try:
        if cancelling.under_way(ctx) in cancelling.IN_PVE:
            return "" if (await cancelling.stop(ctx)).owes else TASK_ENDED.format(vmid=ctx.guest.vmid)
        return await _end_in_guest(ctx)
    finally:
        if not isinstance(ctx.entrance, NoWay):
            await ctx.entrance.close()


async def _end_in_guest(ctx: RunContext) -> str:
    place = await ownership.locate(ctx.client, ctx.guest.node, ctx.guest.vmid)
    if place is None or not await ownership.is_ours(ctx.client, ownership.claim_of(ctx), place.node):
        return GONE.format(vmid=ctx.guest.vmid)
    in_guest = cancelling.runs_in_guest(ctx.checkpoint)
    if place.guest.running and (await cancelling.stop(ctx)).owes:
        return ""
    if not place.guest.running and ctx.door_key is not None:
        return ""  # the key can be taken out of a guest that runs
    return GUEST_ENDED if in_guest else KEY_OUT


async def _write(rt: Runtime, creation: Job, told: str, kind: EventType = EventType.STEP) -> bool:
    event = NewEvent(kind, creation.step, creation.percent, told)
    async with rt.db.transaction() as tx:
        settled = await tx.jobs.settle(creation.id, event)
        if settled:
            result = AuditResult.OK if kind is EventType.STEP else AuditResult.FAILED
            await ending.audit(tx, creation, "creation.settled", result, {"told": told})
    return settled
