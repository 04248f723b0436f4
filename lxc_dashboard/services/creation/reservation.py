"""Reserves vmid and addresses again for the retry of a job that left no container and so gave them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import vmids
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.removal.ownership import is_retryable
from lxc_dashboard.services.creation.steps import create
from lxc_dashboard.services.creation.steps import vmid_conflict as moving
from lxc_dashboard.services.creation.vmids import FreeVmids

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint


async def look(rt: Runtime, session: Session, creation: Job, container: Container) -> FreeVmids | None:
    """Free vmids, if another container of ours has the job's vmid now. None if the job keeps its vmid.

    A job keeps a vmid that its user chose. Raises PVE's errors.
    """
    async with rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(creation.endpoint_id, container.vmid)
    if holder is None or holder.id == container.id or creation.params.get("vmid") is not None:
        return None
    return await vmids.look(rt, await acting.client(rt, session), creation.endpoint_id)


async def hold_again(tx: Transaction, creation: Job, container: Container, free: FreeVmids | None) -> None:
    """Reserve vmid and addresses again.

    Raises ``ConflictError`` if the container was deleted, or if another one has its vmid or an address now.
    """
    if not is_retryable(creation, container):
        raise ConflictError(Message.of(FailureCode.CONTAINER_GONE))
    spec = ContainerSpec.from_json(creation.params)
    faults = await addresses.faults(tx, creation.endpoint_id, [spec], own=container.id)
    if faults:
        raise ConflictError(Message.of(FailureCode.ADDRESS_TAKEN, faults=list(faults.values())))
    former = container.vmid
    vmid = (await free.choose(tx))[0] if free else former
    await tx.containers.hold_again(container.id, vmid)
    if vmid != former:
        await tx.jobs.set_vmid(creation.id, vmid)
        moved = Message.of(CreationCode.VMID_TAKEN, taken=former, vmid=vmid)
        await tx.containers.add_event(container.id, "moved", "", detail=moved.to_json())


def begin_anew(checkpoint: Checkpoint) -> None:
    """Forget the earlier create in the checkpoint: nothing of it is left, and the vmid may have changed."""
    for fact in (moving.ASKED, create.SHORT, create.FULL):
        checkpoint.facts.pop(fact, None)
    if create.CREATE in checkpoint.intent:
        checkpoint.again(create.CREATE)
