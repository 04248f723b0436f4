"""Jobs on guests as users see and cancel them. Creations have rules of their own (``services/creation/service.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.jobs.enqueue import enqueue
from lxc_dashboard.services.jobs.ticket import lending, owns

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

SEE_PRIVILEGE: Final = "VM.Audit"
CANCEL_PRIVILEGE: Final = "VM.Allocate"
# Of jobs about no guest: at the storage that they write to.
SEE_AT_STORAGE: Final = "Datastore.Audit"
CANCEL_AT_STORAGE: Final = "Datastore.AllocateTemplate"


async def require_visible(rt: Runtime, session: Session, job: Job) -> None:
    """Pass a user's own jobs, and those of guests that PVE shows the user. Raises ``NotFoundError``, what PVE says."""
    if job.endpoint_id == session.endpoint_id and (owns(session, job) or await _shows(rt, session, job)):
        return
    raise NotFoundError("This job does not exist, or not any more")


async def _shows(rt: Runtime, session: Session, job: Job) -> bool:
    """PVE also grants privileges on a vmid that no guest has."""
    if not job.vmid:
        return SEE_AT_STORAGE in await privileges.held(rt, session, _storage(job))
    if SEE_PRIVILEGE not in await privileges.held(rt, session, f"/vms/{job.vmid}"):
        return False
    client = await acting.client(rt, session)
    return await client.cluster.find_guest(job.vmid) is not None


def _storage(job: Job) -> str:
    return f"/storage/{job.params['storage']}"


async def cancel(rt: Runtime, session: Session, job: Job) -> Job:
    """Ask a job to stop. Others' jobs need VM.Allocate on the guest, or Datastore.AllocateTemplate at the storage.

    Raises ``NotFoundError``, ``PrivilegeError``, ``ConflictError`` (it has ended), what PVE says.
    """
    await require_visible(rt, session, job)
    own = owns(session, job)
    if not own:
        where = (f"/vms/{job.vmid}", CANCEL_PRIVILEGE) if job.vmid else (_storage(job), CANCEL_AT_STORAGE)
        await privileges.require(rt, session, *where)
    async with lending(rt, session) as lent:
        asked = await lent.tx.jobs.request_cancel(job.id, session.authid)
        if own:  # a job that waits for a sign-in has no ticket to stop its task with
            asked = await lent.give(job.id)
        await lent.tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action=f"{job.kind}.cancel",
            subject=job.subject,
            address=session.address,
            result=AuditResult.OK,
            detail={"node": job.node, "job": str(job.id)},
        )
    if asked.lease_owner is None:
        await enqueue(rt, job.id)
    return asked
