"""Edit and retry: replaces the user's own failed or cancelled job by a new job with another spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.db.models import JobState, new_id
from lxc_dashboard.errors import BusyGuestError, ConflictError, NotFoundError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import clearing, preflight, request, service
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form.filled import Filled, filled_of
from lxc_dashboard.services.creation.form.spec import Secrets
from lxc_dashboard.services.creation.form.validation import check_password
from lxc_dashboard.services.creation.preflight.findings import Leaving
from lxc_dashboard.services.creation.request import Reservation, audit
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.request import is_known
from lxc_dashboard.services.templates.library import catalog as templates

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.creation.preflight.findings import Finding
    from lxc_dashboard.services.creation.views import CreationView
    from lxc_dashboard.services.templates.model import TemplateDetail


@dataclass(frozen=True, slots=True)
class Refilled:
    """``revision_number``: the template revision that the job used; 0 if it had none or the template was removed."""

    hostname: str
    filled: Filled
    revision_number: int = 0


async def editable(rt: Runtime, session: Session, job_id: UUID) -> ContainerSpec:
    """The job's spec, for the user to change. It holds no password: the user must enter theirs again.

    Raises ``NotFoundError``, ``ConflictError`` (another user's job, or one that is neither failed nor cancelled).
    """
    return _spec_of(await _own(rt, session, job_id))


async def of_job(rt: Runtime, session: Session, job_id: UUID) -> Refilled:
    """The wizard's input of the user's own failed or cancelled job. Raises as ``editable``.

    It uses the template's current revision. A script added since is off if the job named its scripts.
    """
    spec = await editable(rt, session, job_id)
    number, detail = await _template_of(rt, session, spec)
    return Refilled(spec.hostname, filled_of(spec, detail), number)


async def check(rt: Runtime, session: Session, job_id: UUID, spec: ContainerSpec) -> list[Finding]:
    """``preflight.check`` of a spec that replaces the job. Ignores what the job left. Raises as ``editable``."""
    return await preflight.check(rt, session, spec, leaving=_leaving(await _own(rt, session, job_id)))


async def replace(
    rt: Runtime,
    session: Session,
    job_id: UUID,
    spec: ContainerSpec,
    secrets: Secrets | None = None,
    *,
    wanted: UUID | None = None,
) -> UUID:
    """Queue a job that destroys what the old job left and then creates ``spec``; return the new job's id.

    ``wanted``: the id for the new job; the same one twice makes one job. The preflight precedes any change. The new job
    stays in the old one's batch. Raises as ``editable``, ``service.destroy`` and ``service.request``.
    """
    view = await _own(rt, session, job_id)
    secrets = secrets or Secrets()
    check_password(spec.password_mode, secrets.password)
    new = wanted or new_id()
    if await is_known(rt, session, new):
        return new
    await request.refuse_unsound(rt, session, spec, leaving=_leaving(view))
    await request.reserve(rt, session, spec, secrets, await _instead(rt, session, view, new))
    await enqueue(rt, new)
    return new


async def _instead(rt: Runtime, session: Session, view: CreationView, new: UUID) -> Reservation:
    """The new job's reservation. Its transaction writes off the old job; the new job destroys what is left in PVE."""
    async with rt.db.transaction() as tx:
        creation = await tx.jobs.get(view.id)
        container = await tx.containers.get(view.container_id)
    if not view.exists:
        return Reservation(new, creation.batch_id, first=lambda tx: clearing.write_off(tx, creation, container))
    await clearing.require_left(rt, session, creation, container)

    async def replace_row(tx: Transaction) -> None:
        if busy := await tx.jobs.locking(creation.endpoint_id, container.vmid):
            raise BusyGuestError(f"CT {container.vmid} {container.hostname}", busy.kind, busy.userid, busy.id)
        await clearing.write_off(tx, creation, container)
        replaced = Message.of(CreationCode.REPLACED).to_json()
        await tx.containers.add_event(container.id, "replaced", "", userid=session.userid, detail=replaced)
        await audit(tx, session, container, "creation.replace", job=creation.id)

    return Reservation(new, creation.batch_id, container.vmid, creation.id, replace_row)


async def _own(rt: Runtime, session: Session, job_id: UUID) -> CreationView:
    view = await service.get_job(rt, session, job_id)
    if not view.own:
        raise ConflictError(Message.of(FailureCode.OWN_USER_EDITS))
    if view.state not in {JobState.FAILED, JobState.CANCELLED}:
        raise ConflictError(Message.of(FailureCode.NOT_EDITED, state=str(view.state)))
    return view


def _leaving(view: CreationView) -> Leaving | None:
    return Leaving(view.container_id, view.vmid) if view.exists else None


def _spec_of(view: CreationView) -> ContainerSpec:
    if view.spec is None:
        raise ConflictError(Message.of(FailureCode.SPEC_UNKNOWN))
    return view.spec


async def _template_of(rt: Runtime, session: Session, spec: ContainerSpec) -> tuple[int, TemplateDetail | None]:
    """The number of the spec's revision, and its template in the current revision."""
    if spec.revision_id is None:
        return 0, None
    try:
        async with rt.db.transaction() as tx:
            template, revision = await tx.templates.revision(spec.revision_id)
        return revision.number, await templates.get_template(session, rt.db, template.id)
    except NotFoundError:
        return 0, None
