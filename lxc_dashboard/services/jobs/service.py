"""How users see and cancel jobs of any kind, and retry acts. For creations see ``services/creation/service.py``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import AuditResult, Container, Job, JobState
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.jobs import identity, visibility
from lxc_dashboard.services.jobs.acts import ACTS
from lxc_dashboard.services.jobs.codes import JobCode, Message
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.run import find_guest
from lxc_dashboard.services.jobs.engine.ticket import lending, owns
from lxc_dashboard.services.jobs.kinds import is_known, kind_of
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.jobs.views import JobView, job_view
from lxc_dashboard.services.jobs.visibility import MANAGE_PRIVILEGE, SEE_PRIVILEGE

if TYPE_CHECKING:
    from lxc_dashboard.db.repositories.leases import Place
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

RETRYABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Shown:
    """A job that a user may see. ``held``: what PVE lets the user do with its guest; empty for the user's own jobs."""

    job: Job
    container: Container | None
    template: str
    own: bool
    held: frozenset[str] = frozenset()

    @property
    def manages(self) -> bool:
        return MANAGE_PRIVILEGE in self.held


async def visible(rt: Runtime, session: Session, job_id: UUID) -> Shown:
    """A job at the session's endpoint: the user's own, or of a guest that PVE shows the user.

    Raises ``NotFoundError``, also for a job that the user may not see, and the errors of PVE.
    """
    async with rt.db.transaction() as tx:
        job, container, template = await tx.job_lists.get(job_id)
    if job.endpoint_id == session.endpoint_id:
        if owns(session, job):
            return Shown(job, container, template, own=True)
        held = await visibility.held(rt, session, job, container)
        if SEE_PRIVILEGE in held:
            return Shown(job, container, template, own=False, held=held)
    raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))


async def visible_now(rt: Runtime, session: Session, job_id: UUID) -> Shown:
    """``visible``, after asking PVE whether the container of an ended job still exists.

    A token that may manage the guest owns the jobs of its user.
    """
    shown = await visible(rt, session, job_id)
    container = shown.container if shown.job.finished_at else None
    if container and container.deleted_at is None and await visibility.is_lost(rt, session, container):
        shown = await visible(rt, session, job_id)
    return replace(shown, own=shown.own or (shown.manages and shown.job.userid == session.userid))


async def get_job(rt: Runtime, session: Session, job_id: UUID) -> JobView:
    """A job of any kind as ``visible_now`` returns it, with its place in the queue."""
    shown = await visible_now(rt, session, job_id)
    view = job_view(shown.job, shown.container, shown.template, own=shown.own, manages=shown.manages)
    return replace(view, place=await place_of(rt, shown.job))


async def place_of(rt: Runtime, job: Job) -> Place | None:
    """A queued job's place in the queue; None for other jobs."""
    if job.state != JobState.QUEUED:
        return None
    async with rt.db.transaction() as tx:
        return (await tx.slots.places(job.endpoint_id)).get(job.id)


async def cancel(rt: Runtime, session: Session, job_id: UUID) -> Job:
    """Request a cancel. The job's worker stops it within 15 s. A job with nothing running ends here.

    Other users' jobs require VM.Allocate on the guest, or Datastore.AllocateTemplate at the storage.
    Raises ``NotFoundError``, ``PrivilegeError``, ``ConflictError`` (it has ended), and the errors of PVE.
    """
    shown = await visible(rt, session, job_id)
    job, own = shown.job, shown.own
    kind = kind_of(job.kind) if is_known(job.kind) else None
    if not own:
        await privileges.require(rt, session, *visibility.managed_at(job, shown.container))
    async with lending(rt, session) as lent:
        asked = await lent.tx.jobs.request_cancel(job.id, session.authid)
        if own:  # a job that waits for a sign-in has no ticket to stop its task with
            asked = await lent.give(job.id)
        await lent.tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action=f"{kind.action if kind else job.kind}.cancel",
            subject=job.subject,
            address=session.address,
            result=AuditResult.OK,
            detail={"node": job.node, "job": str(job.id)},
        )
    if asked.lease_owner is None and not (kind and await kind.end_idle(rt, asked)):
        await enqueue(rt, job.id)
    return asked


async def retry(rt: Runtime, session: Session, job_id: UUID, *, new_id: UUID | None = None) -> UUID:
    """Retry a failed or cancelled act as a new job with the caller's rights. Returns the new job's id.

    The same ``new_id`` twice makes one job. Raises ``NotFoundError`` (the job or its guest), ``ConflictError`` (the job
    has not failed, or is no act), and what ``request`` raises.
    """
    job = (await visible(rt, session, job_id)).job
    if job.state not in RETRYABLE:
        raise ConflictError(Message.of(JobCode.NOT_RUN_AGAIN, state=str(job.state)))
    if job.kind not in ACTS:
        raise ConflictError(Message.of(JobCode.KIND_NOT_RUN_AGAIN, kind=job.kind))
    client = await acting.client(rt, session)
    guest = await find_guest(client, job.vmid)
    same = identity.is_same(job, await identity.read(client, guest.vmid, guest.node))
    if same is False or (same is None and guest.name != job.name):
        raise NotFoundError(Message.of(JobCode.ANOTHER_GUEST, vmid=job.vmid))
    return await request(rt, session, ACTS[job.kind], guest, job.params, job_id=new_id)
