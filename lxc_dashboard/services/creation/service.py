"""What signed-in users do with creations: see, cancel, retry, continue and destroy them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState, Lifecycle
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.creation import clearing, vmids
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode, Secrets
from lxc_dashboard.services.creation.ownership import is_retryable
from lxc_dashboard.services.creation.request import audit, request
from lxc_dashboard.services.creation.steps import create, deploy, finalize, start
from lxc_dashboard.services.creation.views import CreationView, creation_view
from lxc_dashboard.services.creation.vmids import FreeVmids
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.run import Checkpoint, Guest
from lxc_dashboard.services.jobs.engine.ticket import lending, owns, tokenid_of
from lxc_dashboard.services.jobs.request import refuse_busy
from lxc_dashboard.services.jobs.service import Shown
from lxc_dashboard.services.jobs.visibility import MANAGE_PRIVILEGE

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)


async def _new_vmids(rt: Runtime, session: Session, creation: Job, container: Container) -> FreeVmids | None:
    """Free vmids, if another container of ours has the job's vmid now. None if the job keeps its vmid.

    A job keeps a vmid that its user chose. Raises PVE's errors.
    """
    async with rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(creation.endpoint_id, container.vmid)
    if holder is None or holder.id == container.id or creation.params.get("vmid") is not None:
        return None
    return await vmids.look(rt, await acting.client(rt, session), creation.endpoint_id)


async def _hold_again(tx: Transaction, creation: Job, container: Container, free: FreeVmids | None) -> None:
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


def _begin_anew(checkpoint: Checkpoint) -> None:
    """Forget the earlier create in the checkpoint: nothing of it is left, and the vmid may have changed."""
    for fact in (create.ASKED, create.SHORT, create.FULL):
        checkpoint.facts.pop(fact, None)
    if create.CREATE in checkpoint.intent:
        checkpoint.again(create.CREATE)


__all__ = [
    "CreationView", "Secrets", "cancel", "destroy", "get_job", "go_on", "list_jobs", "request",
    "require_visible", "resume_after_sign_in", "retry",
]  # fmt: skip


GIVE_AT_ONCE: Final = 200
UNFINISHED: Final = tuple(state for state in JobState if state not in FINISHED)


async def get_job(rt: Runtime, session: Session, job_id: UUID) -> CreationView:
    """One creation at the session's endpoint: the user's own, or one whose container PVE shows to the user.

    Asks PVE whether the container of an ended job still exists. Raises ``NotFoundError``, also for a hidden job.
    """
    shown = await jobs.visible_now(rt, session, job_id)
    creation, container, template = _creation_of(shown)
    view = creation_view(creation, container, template, own=shown.own, manages=shown.manages)
    may_console = view.exists and privileges.CONSOLE_PRIVILEGE in shown.held
    return replace(view, may_console=may_console, place=await jobs.place_of(rt, creation))


async def require_visible(rt: Runtime, session: Session, job_id: UUID) -> None:
    """Raise ``NotFoundError`` as ``get_job`` does, without asking PVE for the container of an ended job."""
    await _visible(rt, session, job_id)


async def list_jobs(
    rt: Runtime, session: Session, *, unfinished: bool = False, limit: int = 100, before: UUID | None = None
) -> list[CreationView]:
    """Creations at the session's endpoint that the user may see, newest first. ``before``: only older jobs."""
    wanted = listing.Wanted(states=UNFINISHED if unfinished else (), kind=CREATE_KIND, before=before)
    rows = await listing.rows_of(rt, session, wanted, limit=limit)
    return [
        creation_view(job, container, template, own=owns(session, job))
        for job, container, template in rows
        if container
    ]


async def cancel(rt: Runtime, session: Session, job_id: UUID) -> CreationView:
    """``jobs.service.cancel`` of a creation."""
    _, container, template = await _visible(rt, session, job_id)
    asked = await jobs.cancel(rt, session, job_id)
    own = owns(session, asked)
    return creation_view(asked, container, template, own=own, manages=not own)


async def retry(rt: Runtime, session: Session, job_id: UUID) -> CreationView:
    """Run the user's own failed job again, from the failed step.

    Raises ``NotFoundError``, ``ConflictError``, ``PrivilegeError`` (another token of the same user).
    """
    creation, container, template = await _visible(rt, session, job_id)
    await _require_same_user(rt, session, creation, container)
    free = await _new_vmids(rt, session, creation, container)
    try:
        again = await _reopen(rt, session, creation, container, free)
    except ConflictError as error:
        guest = Guest(container.vmid, container.node, name=container.hostname)
        await refuse_busy(rt, session.endpoint_id, guest, error, own=job_id)
    await enqueue(rt, job_id)
    return creation_view(again, container, template, own=True)


async def _reopen(rt: Runtime, session: Session, creation: Job, container: Container, free: FreeVmids | None) -> Job:
    """Queue the failed job again. Raises ``ConflictError``, also where another job locks its guest."""
    async with lending(rt, session) as lent:
        # Read again: another retry may have run and failed since the first read.
        creation = await lent.tx.jobs.locked(creation.id)
        present = await lent.tx.containers.get(container.id)
        checkpoint = from_failed_step(Checkpoint.from_json(creation.checkpoint))
        if present.deleted_at is not None:
            await _hold_again(lent.tx, creation, present, free)
            _begin_anew(checkpoint)
        if _misses_password(creation, present):
            raise ConflictError(Message.of(FailureCode.PASSWORD_GONE))
        await lent.tx.jobs.reopen(creation.id, checkpoint.to_json())
        again = await lent.give(creation.id)
        await lent.tx.containers.set_lifecycle(container.id, Lifecycle.CREATING)
        await audit(lent.tx, session, container, "creation.retry", job=creation.id)
        return again


def _misses_password(creation: Job, container: Container) -> bool:
    """Whether the create is still to come and needs a password from the user that is no longer stored."""
    given = creation.params.get("password_mode") == PasswordMode.GIVEN.value
    made = Checkpoint.from_json(creation.checkpoint).is_done(create.CREATE)
    return given and not made and container.root_password_enc is None


async def go_on(rt: Runtime, session: Session, job_id: UUID) -> CreationView:
    """End the pause of the user's own job, which continues with this session's ticket. Raises as ``retry``."""
    creation, container, template = await _visible(rt, session, job_id)
    await _require_same_user(rt, session, creation, container)
    async with lending(rt, session) as lent:
        # Read again: the job may have reached its pause only after the first read.
        creation = await lent.tx.jobs.locked(job_id)
        checkpoint = Checkpoint.from_json(creation.checkpoint)
        checkpoint.mark_done(create.PAUSE)
        await lent.tx.jobs.go_on(job_id, checkpoint.to_json())
        queued = await lent.give(job_id)
        await audit(lent.tx, session, container, "creation.go-on", job=job_id)
    await enqueue(rt, job_id)
    return creation_view(queued, container, template, own=True)


def from_failed_step(checkpoint: Checkpoint) -> Checkpoint:
    """Prepare the checkpoint for a retry: the failed step gets a new name in the guest; earlier steps stay done.

    A step that ran when the door or PVE became unreachable has not failed: the retry adopts it. Checks, start,
    address, entry, our files in the guest and the key's removal are repeated, because much may have changed.
    """
    if checkpoint.failed:
        checkpoint.again(checkpoint.failed)
    for again in (deploy.PREPARE, start.START, start.ADDRESS, start.INIT, finalize.LOCK):
        if checkpoint.is_done(again):
            checkpoint.again(again)
    if not checkpoint.is_done(create.CREATE):
        checkpoint.again(create.CHECK)
    checkpoint.done = [name for name in checkpoint.done if not name.startswith("phase.")]
    checkpoint.active = checkpoint.failed = ""
    return checkpoint


async def destroy(rt: Runtime, session: Session, job_id: UUID) -> UUID:
    """Queue a job that destroys what a failed or cancelled job left, as the session's user; return the new job's id.

    Raises ``NotFoundError``, and as ``clearing.destroy``.
    """
    creation, container, _ = await _visible(rt, session, job_id)
    return await clearing.destroy(rt, session, creation, container)


async def resume_after_sign_in(rt: Runtime, session: Session) -> int:
    """Give the session's ticket to the user's unfinished jobs; return how many. Jobs that wait for a sign-in continue.

    Paused jobs stay paused. Raises ``SessionExpiredError`` if the session has ended.
    """
    count, after = 0, UUID(int=0)
    while True:
        async with lending(rt, session) as lent:
            found = await lent.tx.jobs.unfinished_of(session.endpoint_id, session.userid, after, GIVE_AT_ONCE)
            theirs = [creation.id for creation in found if not await tokenid_of(lent.tx, creation.id)]
            given = [await lent.give(job_id) for job_id in theirs]
        for creation in given:
            if creation.state in {JobState.QUEUED, JobState.CANCELLING} and creation.lease_owner is None:
                await enqueue(rt, creation.id)
        count += len(given)
        if len(found) < GIVE_AT_ONCE:
            return count
        after = found[-1].id


async def _require_same_user(rt: Runtime, session: Session, creation: Job, container: Container) -> None:
    """Only the job's own user may continue it. An API token that did not request the job needs ``MANAGE_PRIVILEGE``."""
    if creation.userid != session.userid:
        raise ConflictError(Message.of(FailureCode.OWN_USER_GOES_ON))
    if not owns(session, creation):
        await privileges.require(rt, session, f"/vms/{container.vmid}", MANAGE_PRIVILEGE)


async def _visible(rt: Runtime, session: Session, job_id: UUID) -> tuple[Job, Container, str]:
    return _creation_of(await jobs.visible(rt, session, job_id))


def _creation_of(shown: Shown) -> tuple[Job, Container, str]:
    """Raises ``NotFoundError`` for another kind of job."""
    if shown.job.kind != CREATE_KIND or shown.container is None:
        raise NotFoundError(Message.of(FailureCode.NO_CREATION))
    return shown.job, shown.container, shown.template
