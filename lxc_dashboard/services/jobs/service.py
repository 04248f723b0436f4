"""Jobs on guests as users see, cancel and retry them. Creations have rules of their own (``services/creation/service.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import AuditResult, JobState
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.jobs.acts import ACTS
from lxc_dashboard.services.jobs.enqueue import enqueue
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.jobs.run import find_guest
from lxc_dashboard.services.jobs.ticket import lending, owns

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

SEE_PRIVILEGE: Final = "VM.Audit"
CANCEL_PRIVILEGE: Final = "VM.Allocate"
RETRYABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED})


async def require_visible(rt: Runtime, session: Session, job: Job) -> None:
    """Pass a user's own jobs, and those of guests that PVE shows the user. Raises ``NotFoundError``, what PVE says."""
    if job.endpoint_id == session.endpoint_id and (owns(session, job) or await _shows(rt, session, job.vmid)):
        return
    raise NotFoundError("This job does not exist, or not any more")


async def _shows(rt: Runtime, session: Session, vmid: int) -> bool:
    """PVE also grants privileges on a vmid that no guest has."""
    if SEE_PRIVILEGE not in await privileges.held(rt, session, f"/vms/{vmid}"):
        return False
    client = await acting.client(rt, session)
    return await client.cluster.find_guest(vmid) is not None


async def cancel(rt: Runtime, session: Session, job: Job) -> Job:
    """Ask a job on a guest to stop. Others' jobs need VM.Allocate on the guest.

    Raises ``NotFoundError``, ``PrivilegeError``, ``ConflictError`` (it has ended), what PVE says.
    """
    await require_visible(rt, session, job)
    own = owns(session, job)
    if not own:
        await privileges.require(rt, session, f"/vms/{job.vmid}", CANCEL_PRIVILEGE)
    async with lending(rt, session) as lent:
        asked = await lent.tx.jobs.request_cancel(job.id, session.authid)
        if own:  # a job that waits for a sign-in has no ticket to stop its task with
            asked = await lent.give(job.id)
        await lent.tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action=f"{job.kind}.cancel",
            subject=f"CT {job.vmid} {job.name}".rstrip(),
            address=session.address,
            result=AuditResult.OK,
            detail={"node": job.node, "job": str(job.id)},
        )
    if asked.lease_owner is None:
        await enqueue(rt, job.id)
    return asked


def is_retryable(job: Job) -> bool:
    """Whether it is an act, known here, that failed or was cancelled. Creations say so themselves (``JobView``)."""
    return job.kind in ACTS and job.state in RETRYABLE


async def retry(rt: Runtime, session: Session, job: Job, *, job_id: UUID | None = None) -> UUID:
    """Ask again for an act that failed or was cancelled; the id of the new job, which acts as the caller.

    The same ``job_id`` twice makes one job. Raises ``NotFoundError`` (the job or its guest), ``ConflictError`` (it has not
    failed, or is no act), and what ``request`` raises.
    """
    await require_visible(rt, session, job)
    if job.state not in RETRYABLE:
        raise ConflictError(f"Only a failed or cancelled job is run again; this one is {job.state}")
    if job.kind not in ACTS:
        raise ConflictError(f"Jobs of the kind {job.kind} cannot be run again")
    guest = await find_guest(await acting.client(rt, session), job.vmid)
    return await request(rt, session, ACTS[job.kind], guest, job.params, job_id=job_id)
