"""The vmid and addresses of a job that is run again after it failed and left nothing: it held none meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import moving, vmids
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.ownership import is_retryable
from lxc_dashboard.services.creation.phases import create

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.checkpoint import Checkpoint


@asynccontextmanager
async def vmid_for(rt: Runtime, session: Session, creation: Job, container: Container) -> AsyncIterator[int]:
    """The vmid that the job had. Where another container of ours has it by now, the next free one, unless the user chose it.

    Raises as ``vmids.offered``.
    """
    async with rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(creation.endpoint_id, container.vmid)
    if holder is None or holder.id == container.id or creation.params.get("vmid") is not None:
        yield container.vmid
        return
    client = await acting.client(rt, session)
    async with vmids.offered(rt, client, creation.endpoint_id) as free:
        yield free[0]


async def hold_again(tx: Transaction, creation: Job, container: Container, vmid: int) -> None:
    """Raises ``ConflictError`` where the container was deleted, or another has its vmid or an address by now."""
    if not is_retryable(creation, container):
        raise ConflictError("Its container is gone: create a new one")
    spec = ContainerSpec.from_json(creation.params)
    faults = await addresses.faults(tx, creation.endpoint_id, [spec], own=container.id)
    if faults:
        raise ConflictError(f"{'; '.join(faults.values())}. Edit the job and choose another address")
    former = container.vmid
    await tx.containers.hold_again(container.id, vmid)
    if vmid != former:
        await tx.containers.add_event(container.id, "moved", f"CT {former} was taken: it is CT {vmid}")


def begin_anew(checkpoint: Checkpoint) -> None:
    """Forget an earlier create: nothing of it is left, and the vmid may be another one."""
    for fact in (moving.ASKED, create.SHORT, create.FULL):
        checkpoint.facts.pop(fact, None)
    if create.CREATE in checkpoint.intent:
        checkpoint.again(create.CREATE)
