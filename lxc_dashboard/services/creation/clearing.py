"""Clearing away what a failed or cancelled job has left: in PVE, under the guest's lock, then in our own memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import AuditResult, Container, Job, JobState
from lxc_dashboard.errors import BusyGuestError, ConflictError, DashboardError, PrivilegeError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.creation import leftovers
from lxc_dashboard.services.creation.auditing import audit
from lxc_dashboard.services.creation.failures import FailureCode
from lxc_dashboard.services.jobs.ticket import owns
from lxc_dashboard.services.jobs.visibility import MANAGE_PRIVILEGE

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

LEFT_BEHIND: Final = frozenset({JobState.FAILED, JobState.CANCELLED})


async def delete_left(rt: Runtime, session: Session, creation: Job, container: Container) -> tuple[str, ...] | None:
    """``leftovers.delete`` as the session's user, who holds the guest's lock; a refusal is audited. None where it was gone.

    Another's job needs VM.Allocate on its container, also where PVE has that one no more: what follows ends the job for its user.

    Raises ``ConflictError`` (the job runs again, the vmid is another container by now), ``PrivilegeError``, what PVE says.
    """
    client = await acting.client(rt, session)
    async with rt.db.transaction() as tx:
        state = JobState((await tx.jobs.get(creation.id)).state)
        busy = await tx.jobs.locking(creation.endpoint_id, container.vmid)
    if state not in LEFT_BEHIND:
        raise ConflictError(Message.of(FailureCode.NOT_CLEARED, state=str(state)))
    if busy is not None:
        raise BusyGuestError(f"CT {container.vmid} {container.hostname}", busy.kind, busy.userid, busy.id)
    try:
        if not owns(session, creation):
            await privileges.require(rt, session, f"/vms/{container.vmid}", MANAGE_PRIVILEGE)
        return await leftovers.delete(rt, client, creation, container)
    except DashboardError as error:
        result = AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED
        async with rt.db.transaction() as tx:
            await audit(tx, session, container, "creation.destroy", job=creation.id, result=result, cause=str(error))
        raise


async def forget(tx: Transaction, session: Session, creation: Job, container: Container) -> None:
    """The container is gone: its vmid is free again."""
    await write_off(tx, creation, container)
    await tx.containers.add_event(container.id, "destroyed", "Destroyed", userid=session.userid)
    await audit(tx, session, container, "creation.destroy", job=creation.id)


async def write_off(tx: Transaction, creation: Job, container: Container) -> None:
    """The job is not run again, and holds no vmid. Raises ``ConflictError`` where it runs again already."""
    await tx.jobs.give_up(creation.id)
    await tx.containers.mark_deleted(container.id)
