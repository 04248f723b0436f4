"""Moves a creation to another vmid if its vmid was taken in PVE between our reservation and the create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from lxc_dashboard.db.models import AuditResult, EventType, Phase
from lxc_dashboard.errors import LeaseGoneError, PhaseFailedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import vmids
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.jobs.kinds import BeginAgainError

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.creation.vmids import FreeVmids

log = structlog.get_logger(__name__)

ASKED: Final = "asked_vmid"


async def is_taken(ctx: RunContext) -> bool:
    """Whether the vmid certainly belongs to a guest that this job did not create.

    False for a guest that our own create may have left (``facts[ASKED]``). ``GET /cluster/nextid``,
    ``/cluster/resources``, ``.../config``.
    """
    vmid = ctx.guest.vmid
    if await ctx.client.cluster.vmid_is_free(vmid):
        return False
    if ctx.checkpoint.facts.get(ASKED) != vmid:
        return True
    guest = await ctx.client.cluster.find_guest(vmid)
    if guest is None:
        return False
    if guest.type != "lxc":
        return True
    config = await ctx.client.lxc.config(guest.node, vmid)
    return not config.is_bare and not notes.is_of(config.description, ctx.job_id)


async def move(ctx: RunContext, step: str) -> NoReturn:
    """Move the job to the next free vmid and repeat ``step``. Does not touch the guest with the old vmid.

    Stores the repetition of ``step`` first, then the new vmid. If the worker dies in between, the next one requests the
    old vmid, is refused, and moves. Raises ``BeginAgainError``, or ``PhaseFailedError`` if the user chose the vmid.
    """
    taken = ctx.guest.vmid
    if ctx.spec.vmid is not None:
        raise PhaseFailedError(
            Phase.CREATING.value,
            Message.of(FailureCode.VMID_OF_OTHER, vmid=taken),
            step="create",
        )
    ctx.checkpoint.facts.pop(ASKED, None)
    ctx.checkpoint.again(step)
    await ctx.recorder.flush()
    vmid = await _take(ctx, await vmids.look(ctx.rt, ctx.client, ctx.endpoint_id))
    ctx.tell(CreationCode.VMID_TAKEN, EventType.WARNING, taken=taken, vmid=vmid)
    await ctx.recorder.flush()
    raise BeginAgainError


async def _take(ctx: RunContext, free: FreeVmids) -> int:
    """Reserve the next free vmid. Raises ``LeaseGoneError`` if another worker has the job."""
    guest = ctx.guest
    async with ctx.rt.db.transaction() as tx:
        creation = await tx.jobs.get(ctx.job_id)
        if creation.lease_owner != ctx.recorder.owner:
            raise LeaseGoneError
        vmid = (await free.choose(tx))[0]
        moved = Message.of(CreationCode.VMID_TAKEN, taken=guest.vmid, vmid=vmid)
        container = await tx.containers.set_vmid(ctx.container_id, vmid, instead_of=guest.vmid)
        await tx.jobs.set_vmid(ctx.job_id, vmid)
        await tx.containers.add_event(container.id, "moved", "", detail=moved.to_json())
        await tx.audit.append(
            userid=ctx.userid,
            endpoint_name=ctx.endpoint_name,
            action="creation.move",
            subject=f"CT {vmid} {container.hostname}",
            result=AuditResult.OK,
            detail={"creation": str(ctx.job_id), "taken": guest.vmid},
        )
    return vmid
