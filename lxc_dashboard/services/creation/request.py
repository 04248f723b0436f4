"""Requests a creation: checks it, reserves its vmid, stores the job and queues it."""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from secrets import choice
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import CREATE_KIND, AuditResult, Container, Job, Phase, new_id
from lxc_dashboard.errors import BusyGuestError, ConflictError, InvalidInputError, PreflightError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import preflight, vmids
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode, Secrets
from lxc_dashboard.services.creation.form.validation import check_password
from lxc_dashboard.services.creation.ownership import REPLACES
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.engine.ticket import Lending, lending
from lxc_dashboard.services.jobs.request import is_known

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.preflight.findings import Leaving

log = structlog.get_logger(__name__)

PASSWORD_CHARS: Final = 24
# Letters and digits without look-alikes: a password has about 140 bits.
_LETTERS: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))


async def request(
    rt: Runtime,
    session: Session,
    spec: ContainerSpec,
    secrets: Secrets | None = None,
    *,
    job_id: UUID | None = None,
) -> UUID:
    """Queue a creation; return the job's id. The same ``job_id`` twice (a double click) makes one job.

    Raises ``InvalidInputError`` (invalid password, taken vmid or address), ``PreflightError`` with all errors found,
    ``ServiceUnavailableError``, and PVE's errors.
    """
    secrets = secrets or Secrets()
    check_password(spec.password_mode, secrets.password)
    if job_id is not None and await is_known(rt, session, job_id):
        return job_id
    wanted = job_id or new_id()
    try:
        await refuse_unsound(rt, session, spec)
    except PreflightError:
        if await is_known(rt, session, wanted):
            return wanted  # the same request was stored a moment earlier: its own container is in the way
        raise
    await reserve(rt, session, spec, secrets, Reservation(wanted))
    await enqueue(rt, wanted)
    return wanted


async def refuse_unsound(rt: Runtime, session: Session, spec: ContainerSpec, *, leaving: Leaving | None = None) -> None:
    """Run the preflight. Raises ``PreflightError`` with all errors found."""
    async with rt.checks:
        findings = await preflight.check(rt, session, spec, leaving=leaving)
    errors = [finding for finding in findings if finding.severity is FindingSeverity.ERROR]
    if errors:
        raise PreflightError(errors)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The row to store. ``first``: work at the start of its transaction.

    ``reuses``: a vmid that ``first`` frees. ``replaces``: the creation whose container the new job destroys first.
    """

    job_id: UUID
    batch_id: UUID | None = None
    reuses: int | None = None
    replaces: UUID | None = None
    first: Callable[[Transaction], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One job to store. ``reuses`` and ``replaces`` as in ``Reservation``."""

    spec: ContainerSpec
    job_id: UUID
    batch_id: UUID | None = None
    password: str | None = field(default=None, repr=False)
    reuses: int | None = None
    replaces: UUID | None = None

    @property
    def vmid(self) -> int | None:
        """The vmid to reserve; None: any free one."""
        return self.spec.vmid or self.reuses

    @classmethod
    def of(cls, spec: ContainerSpec, secrets: Secrets, job_id: UUID, batch_id: UUID | None = None) -> Order:
        """An order with the root password that the spec asks for: the user's, a generated one, or none."""
        passwords = {PasswordMode.GIVEN: secrets.password, PasswordMode.GENERATED: generate_password()}
        return cls(spec, job_id, batch_id, passwords.get(spec.password_mode))


def generate_password() -> str:
    return "".join(choice(_LETTERS) for _ in range(PASSWORD_CHARS))


async def reserve(
    rt: Runtime, session: Session, spec: ContainerSpec, secrets: Secrets, reservation: Reservation
) -> None:
    """Store the rows of a checked creation, with a vmid that no other row at the endpoint has.

    Raises ``InvalidInputError`` (the vmid or an address is taken), ``ConflictError`` (no vmid is free),
    ``SessionExpiredError`` (the session has ended), and PVE's errors.
    """
    order = Order.of(spec, secrets, reservation.job_id, reservation.batch_id)
    order = replace(order, reuses=reservation.reuses, replaces=reservation.replaces)
    await reserve_all(rt, session, [order], first=reservation.first)


async def reserve_all(
    rt: Runtime,
    session: Session,
    orders: Sequence[Order],
    *,
    first: Callable[[Transaction], Awaitable[None]] | None = None,
) -> None:
    """As ``reserve`` for all ``orders`` in one transaction. Stores nothing if the first order is stored already."""
    client = await acting.client(rt, session)
    automatic = sum(order.vmid is None for order in orders)
    free = await vmids.look(rt, client, session.endpoint_id, automatic) if automatic else None
    try:
        async with lending(rt, session) as lent:
            if first is not None:
                await first(lent.tx)
            await lent.tx.jobs.lock_endpoint(session.endpoint_id)  # also for a vmid that the user chose
            given = await free.choose(lent.tx, automatic) if free else []
            await _store_all(lent, orders, given)
    except BusyGuestError:
        raise
    except ConflictError as error:
        if await is_known(rt, session, orders[0].job_id):
            return  # the same request was stored a moment earlier
        if orders[0].spec.vmid is None:
            raise
        raise InvalidInputError({"vmid": Message.of(FieldCode.VMID_TAKEN, vmid=orders[0].spec.vmid)}) from error


async def _store_all(lent: Lending, orders: Sequence[Order], given: Sequence[int]) -> None:
    if faults := await addresses.faults(lent.tx, lent.session.endpoint_id, [order.spec for order in orders]):
        raise InvalidInputError(faults)
    automatic = iter(given)
    for order in orders:
        await _store(lent.tx, lent.session, order, vmid=order.vmid or next(automatic))
        await lent.give(order.job_id)


def _creation(session: Session, order: Order, container: Container) -> Job:
    return Job.about(
        container,
        CREATE_KIND,
        id=order.job_id,
        revision_id=order.spec.revision_id,
        batch_id=order.batch_id,
        userid=session.userid,
        params=order.spec.to_json(),
        checkpoint=Checkpoint(facts={REPLACES: str(order.replaces)} if order.replaces else {}).to_json(),
        step=Phase.CREATING.value,
        signed_in_at=session.signed_in_at,
        session_id=session.id,
    )


async def _store(tx: Transaction, session: Session, order: Order, *, vmid: int) -> None:
    spec = order.spec
    container = await tx.containers.reserve(
        Container(
            endpoint_id=session.endpoint_id,
            vmid=vmid,
            node=spec.node,
            hostname=spec.hostname,
            template_revision_id=spec.revision_id,
            created_by=session.userid,
        ),
        root_password=order.password,
    )
    await tx.jobs.add(_creation(session, order, container))
    await tx.audit.append(
        userid=session.authid,
        endpoint_name=session.endpoint_name,
        action="creation.request",
        subject=f"CT {vmid} {spec.hostname}",
        address=session.address,
        result=AuditResult.OK,
        detail={"creation": str(order.job_id), "spec": spec.to_json()},
    )


async def audit(
    tx: Transaction,
    session: Session,
    container: Container,
    action: str,
    *,
    job: UUID,
    result: AuditResult = AuditResult.OK,
    cause: str = "",
) -> None:
    await tx.audit.append(
        userid=session.authid,
        endpoint_name=session.endpoint_name,
        action=action,
        subject=f"CT {container.vmid} {container.hostname}",
        address=session.address,
        result=result,
        detail={"creation": str(job), **({"cause": cause} if cause else {})},
    )
