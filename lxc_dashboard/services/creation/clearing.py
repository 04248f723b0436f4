"""Destroys what a failed or cancelled creation left: a kind of job. First in PVE, then in our database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from lxc_dashboard.db.models import AuditResult, Container, Job, JobState
from lxc_dashboard.errors import ConflictError, DashboardError, PrivilegeError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.creation import ownership
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.request import audit
from lxc_dashboard.services.jobs.acts import Act, ActRun
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.engine.ticket import owns
from lxc_dashboard.services.jobs.kinds import register
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.jobs.visibility import MANAGE_PRIVILEGE

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.engine.recorder import Recorder
    from lxc_dashboard.services.jobs.kinds import End

DESTROY_KIND: Final = "container.destroy"
LEFT_BEHIND: Final = frozenset({JobState.FAILED, JobState.CANCELLED})


class DestroyLeft(msgspec.Struct, frozen=True):
    """``job``: the creation whose container is destroyed."""

    job: UUID


class Destroy(Act):
    async def locate(self, run: ActRun) -> None:
        """Do nothing: ``_destroy`` looks for the guest itself, and a missing guest is a success."""

    async def record(self, tx: Transaction, job: Job, end: End, run: ActRun | None, recorder: Recorder) -> None:
        """Free the vmid of the destroyed container, and keep its creation from being retried."""
        if end.state is not JobState.DONE:
            await super().record(tx, job, end, run, recorder)
            return
        params = msgspec.convert(job.params, DestroyLeft)
        creation = await tx.jobs.locked(params.job)
        container = await tx.containers.get(creation.own_container_id)
        if JobState(creation.state) in LEFT_BEHIND and container.vmid == job.vmid:
            await write_off(tx, creation, container)
            await tx.containers.add_event(
                container.id, "destroyed", "", userid=job.userid, detail=end.message.to_json()
            )


async def _destroy(run: ActRun, params: DestroyLeft) -> Message:
    async with run.rt.db.transaction() as tx:
        creation = await tx.jobs.get(params.job)
        container = await tx.containers.get(creation.own_container_id)
    stays = await ownership.delete_left(run, creation, container)
    if stays is None:
        return Message.of(CreationCode.DESTROYED_ALREADY, guest=str(run.guest))
    if stays:
        return Message.of(CreationCode.DESTROYED_IN_PART, guest=str(run.guest), volumes=list(stays))
    return Message.of(CreationCode.DESTROYED, guest=str(run.guest))


# No `needs`: PVE itself checks the privileges. Those from a pool apply only once the guest is in the pool.
DESTROY: Final = Destroy(DESTROY_KIND, begins=CreationCode.DESTROYING, needs=(), params=DestroyLeft, work=_destroy)
register(DESTROY)


async def destroy(rt: Runtime, session: Session, creation: Job, container: Container) -> UUID:
    """Queue a job that destroys what the creation left, as the session's user; return its id. A refusal is audited.

    Another user's job needs VM.Allocate on its container, even if PVE no longer has it: its user can then not retry it.

    Raises ``ConflictError`` (the job runs again, the vmid belongs to another container now), ``BusyGuestError``,
    ``PrivilegeError``, and PVE's errors.
    """
    await require_left(rt, session, creation, container)
    guest = Guest(container.vmid, container.node, name=container.hostname)
    return await request(rt, session, DESTROY, guest, {"job": str(creation.id)})


async def require_left(rt: Runtime, session: Session, creation: Job, container: Container) -> None:
    """Raise as ``destroy``, except ``BusyGuestError``. Changes nothing."""
    if container.deleted_at is not None:
        raise ConflictError(Message.of(FailureCode.GONE_ALREADY, vmid=container.vmid, hostname=container.hostname))
    if JobState(creation.state) not in LEFT_BEHIND:
        raise ConflictError(Message.of(FailureCode.NOT_CLEARED, state=str(creation.state)))
    try:
        if not owns(session, creation):
            await privileges.require(rt, session, f"/vms/{container.vmid}", MANAGE_PRIVILEGE)
        await ownership.find_left(await acting.client(rt, session), creation, container)
    except DashboardError as error:
        result = AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED
        async with rt.db.transaction() as tx:
            await audit(tx, session, container, DESTROY_KIND, job=creation.id, result=result, cause=str(error))
        raise


async def write_off(tx: Transaction, creation: Job, container: Container) -> None:
    """Keep the job from being retried, and free its vmid. Raises ``ConflictError`` if it runs again already."""
    await tx.jobs.give_up(creation.id)
    await tx.containers.mark_deleted(container.id)
