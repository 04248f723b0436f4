"""Batches: many creations from one form, with hostnames from a pattern and addresses from ranges.

All are checked together, and all or none are stored. Also the content of a batch's page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from lxc_dashboard.db.models import AuditResult, Container, CreationBatch, Job, JobState, new_id
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    PreflightError,
    ProxmoxError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import preflight, request, service
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.batch import NEEDS_RANGE, PATTERN, VMID_BY_HAND, hostnames
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, IpSettings, Secrets
from lxc_dashboard.services.creation.form.validation import check_password
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingCode, FindingSeverity, error, warning
from lxc_dashboard.services.creation.request import Order
from lxc_dashboard.services.creation.views import CreationView, creation_view
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs import visibility
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.ticket import owns

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job of a batch. ``address``: the current or the planned one; empty if DHCP has not given one yet."""

    job: CreationView
    address: str

    @property
    def is_open(self) -> bool:
        return self.job.state not in FINISHED

    @property
    def is_failed(self) -> bool:
        """Whether the job failed and may be retried. False once its container was destroyed or replaced."""
        return self.job.retryable


@dataclass(frozen=True, slots=True)
class BatchView:
    """``jobs``: in the order of the pattern. ``hidden``: how many jobs of the batch this user may not see."""

    id: UUID
    pattern: str
    userid: str
    created_at: datetime
    jobs: tuple[BatchJob, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``done``: hostnames of the accepted requests. ``refused``: the other hostnames, each with the reason."""

    done: tuple[str, ...] = ()
    refused: tuple[tuple[str, Message], ...] = ()


async def get_batch(rt: Runtime, session: Session, batch_id: UUID) -> BatchView:
    """The batch with the jobs that the user may see: their own, and those whose containers PVE shows them.

    Raises ``NotFoundError`` and PVE's errors.
    """
    async with rt.db.transaction() as tx:
        batch = await tx.batches.get(batch_id)
        runs = await tx.batches.runs(batch_id) if batch.endpoint_id == session.endpoint_id else ()
    others = [container for creation, container in runs if not owns(session, creation)]
    seen = await visibility.seen(rt, session, others)
    shown = [
        BatchJob(creation_view(creation, container, "", own=owns(session, creation)), _address(creation, container))
        for creation, container in runs
        if owns(session, creation) or container.id in seen
    ]
    if not shown:
        raise NotFoundError(Message.of(FailureCode.BATCH_GONE))
    return BatchView(batch.id, batch.pattern, batch.userid, batch.created_at, tuple(shown), len(runs) - len(shown))


async def jobs_now(rt: Runtime, batch_id: UUID) -> list[BatchJob]:
    """All jobs of the batch, without a check of rights. The caller shows only jobs that the user has seen before."""
    async with rt.db.transaction() as tx:
        runs = await tx.batches.runs(batch_id)
    return [
        BatchJob(creation_view(creation, container, "", own=False), _address(creation, container))
        for creation, container in runs
    ]


async def cancel_all(rt: Runtime, session: Session, batch_id: UUID) -> Outcome:
    """``jobs.service.cancel`` for each job that has not ended. Raises ``NotFoundError``."""
    view = await get_batch(rt, session, batch_id)
    open_ = [found.job for found in view.jobs if found.is_open and found.job.state is not JobState.CANCELLING]
    return await _each(open_, lambda job: jobs.cancel(rt, session, job.id))


async def retry_failed(rt: Runtime, session: Session, batch_id: UUID) -> Outcome:
    """``service.retry`` for each failed job. Raises ``NotFoundError``."""
    view = await get_batch(rt, session, batch_id)
    failed = [found.job for found in view.jobs if found.is_failed]
    return await _each(failed, lambda job: service.retry(rt, session, job.id))


def _address(creation: Job, container: Container) -> str:
    promised = [creation.params.get(family, {}).get("address", "") for family in ("ipv4", "ipv6")]
    return container.address or next((text.partition("/")[0] for text in promised if text), "")


async def _each(jobs: Sequence[CreationView], act: Callable[[CreationView], Awaitable[object]]) -> Outcome:
    """Apply ``act`` to each job, ``AT_ONCE`` at a time. A refusal does not stop the others."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(job: CreationView) -> Message | None:
        async with turn:
            try:
                await act(job)
            except DashboardError as error:
                return error.reason
        return None

    answers = await asyncio.gather(*(one(job) for job in jobs))
    told = [(job.hostname, answer) for job, answer in zip(jobs, answers, strict=True)]
    return Outcome(tuple(name for name, why in told if why is None), tuple((name, why) for name, why in told if why))


ADDRESS_TRIES: Final = 3
IPV4_RANGE: Final = "ipv4_range"
IPV6_RANGE: Final = "ipv6_range"


@dataclass(frozen=True, slots=True)
class Plan:
    """``specs``: the containers to create, in the pattern's order. ``unasked`` as in ``addresses.Free``."""

    pattern: str
    shared: ContainerSpec
    specs: tuple[ContainerSpec, ...]
    unasked: int = 0


def expand(
    pattern: str, spec: ContainerSpec, ipv4: Sequence[str] = (), ipv6: Sequence[str] = ()
) -> tuple[ContainerSpec, ...]:
    """``spec`` once for each name of ``pattern``, each with its own address (CIDR) if addresses are given.

    Raises ``InvalidInputError`` for the pattern, for a vmid set by the user, and for a static address without a range.
    """
    names = hostnames(pattern, field=PATTERN)
    faults = {"vmid": VMID_BY_HAND} if spec.vmid is not None else {}
    for field, ip, given in ((IPV4_RANGE, spec.ipv4, ipv4), (IPV6_RANGE, spec.ipv6, ipv6)):
        if ip.mode is IpMode.STATIC and not given and len(names) > 1:
            faults[field] = NEEDS_RANGE
    if faults:
        raise InvalidInputError(faults)
    return tuple(
        replace(spec, hostname=name, ipv4=_nth(spec.ipv4, ipv4, at), ipv6=_nth(spec.ipv6, ipv6, at))
        for at, name in enumerate(names)
    )


def _nth(settings: IpSettings, given: Sequence[str], at: int) -> IpSettings:
    return IpSettings(IpMode.STATIC, given[at], settings.gateway) if given else settings


async def plan(
    rt: Runtime, session: Session, pattern: str, spec: ContainerSpec, *, ipv4_range: str = "", ipv6_range: str = ""
) -> Plan:
    """Plan the batch with addresses that are free now. Reserves nothing.

    Raises ``InvalidInputError`` (``hostname_pattern``, ``ipv4_range``, ``ipv6_range``, ``vmid``) and PVE's errors.
    """
    count = len(hostnames(pattern, field=PATTERN))
    given = ((IPV4_RANGE, ipv4_range, 4, spec.ipv4), (IPV6_RANGE, ipv6_range, 6, spec.ipv6))
    found: dict[str, addresses.Free] = {}
    for field, text, version, ip in given:
        if text.strip():
            wanted = addresses.parse_range(text, version=version, field=field)
            found[field] = await addresses.next_free(rt, session, wanted, count, gateway=ip.gateway, field=field)
    nothing = addresses.Free(())
    ipv4, ipv6 = (found.get(field, nothing) for field in (IPV4_RANGE, IPV6_RANGE))
    specs = expand(pattern, spec, ipv4.addresses, ipv6.addresses)
    return Plan(pattern.strip(), spec, specs, max(ipv4.unasked, ipv6.unasked))


async def check(rt: Runtime, session: Session, planned: Plan) -> list[Finding]:
    """``preflight.check`` for the whole batch, errors first. Common findings appear once, name conflicts per guest."""
    common, own = await asyncio.gather(
        preflight.check(rt, session, planned.specs[0], count=len(planned.specs)), _named(rt, session, planned)
    )
    found = [_of_several(finding) for finding in common if finding.field != "hostname"] + own
    if planned.unasked:
        found.append(warning(IPV4_RANGE, FindingCode.RANGE_UNASKED))
    return sorted(found, key=lambda finding: finding.severity is not FindingSeverity.ERROR)


def _of_several(finding: Finding) -> Finding:
    """Move a finding about an address to the range field: the form of a batch has no address field."""
    return replace(finding, field=_ranged(finding.field))


def _ranged(field: str) -> str:
    return field.replace("_address", "_range")


async def look(
    rt: Runtime, session: Session, pattern: str, spec: ContainerSpec, *, ipv4_range: str = "", ipv6_range: str = ""
) -> tuple[Plan | None, list[Finding]]:
    """``plan`` and ``check`` for a review. Invalid fields and PVE's errors are returned as findings."""
    try:
        planned = await plan(rt, session, pattern, spec, ipv4_range=ipv4_range, ipv6_range=ipv6_range)
    except InvalidInputError as refused:
        return None, [error(field, FindingCode.INVALID, reason=cause) for field, cause in refused.reasons.items()]
    except ProxmoxError as fault:
        return None, [error("", FindingCode.PVE_FAILED, reason=fault.reason)]
    return planned, await check(rt, session, planned)


async def _named(rt: Runtime, session: Session, planned: Plan) -> list[Finding]:
    try:
        guests = await (await acting.client(rt, session)).cluster.resources("vm")
    except ProxmoxError:
        return []  # the preflight sends the same request and reports its failure
    seen = {guest.name: guest for guest in guests}
    doubles = [seen[spec.hostname] for spec in planned.specs if spec.hostname in seen]
    return [
        warning(PATTERN, FindingCode.NAME_TWICE, name=guest.name, vmid=guest.vmid or 0, node=guest.node)
        for guest in doubles
    ]


async def request_batch(
    rt: Runtime,
    session: Session,
    pattern: str,
    spec: ContainerSpec,
    secrets: Secrets | None = None,
    *,
    batch_id: UUID | None = None,
    ipv4_range: str = "",
    ipv6_range: str = "",
) -> UUID:
    """Queue a creation for each name of ``pattern``; return the batch's id.

    The same ``batch_id`` twice makes one batch. One transaction stores all rows with their vmids.
    Raises as ``plan`` and ``request.request``.
    """
    secrets = secrets or Secrets()
    check_password(spec.password_mode, secrets.password)
    wanted = batch_id or new_id()
    if await _is_known(rt, session, wanted):
        return wanted
    tries = 0
    while True:
        planned = await plan(rt, session, pattern, spec, ipv4_range=ipv4_range, ipv6_range=ipv6_range)
        await _approve(rt, session, planned)
        tries += 1
        try:
            orders = await _store(rt, session, planned, secrets, wanted)
        except InvalidInputError as refused:
            if tries == ADDRESS_TRIES:
                raise InvalidInputError({_ranged(field): cause for field, cause in refused.reasons.items()}) from None
        else:
            break  # otherwise another job reserved an address in between: plan again
    for order in orders:
        await enqueue(rt, order.job_id)
    return wanted


async def _approve(rt: Runtime, session: Session, planned: Plan) -> None:
    found = await check(rt, session, planned)
    if errors := [finding for finding in found if finding.severity is FindingSeverity.ERROR]:
        raise PreflightError(errors)


async def _store(rt: Runtime, session: Session, planned: Plan, secrets: Secrets, batch_id: UUID) -> list[Order]:
    """Store all jobs of the batch. Their ids derive from the batch's id, so that a repeated request finds them."""
    orders = [
        Order.of(spec, secrets, uuid5(batch_id, str(number)), batch_id) for number, spec in enumerate(planned.specs)
    ]

    async def first(tx: Transaction) -> None:
        await tx.batches.add(
            CreationBatch(
                id=batch_id,
                endpoint_id=session.endpoint_id,
                userid=session.userid,
                pattern=planned.pattern,
                spec=planned.shared.to_json(),
            )
        )
        await tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action="batch.request",
            subject=planned.pattern,
            address=session.address,
            result=AuditResult.OK,
            detail={"batch": str(batch_id), "containers": len(orders)},
        )

    await request.reserve_all(rt, session, orders, first=first)
    return orders


async def _is_known(rt: Runtime, session: Session, batch_id: UUID) -> bool:
    try:
        async with rt.db.transaction() as tx:
            batch = await tx.batches.get(batch_id)
    except NotFoundError:
        return False
    if (batch.endpoint_id, batch.userid) != (session.endpoint_id, session.userid):
        raise ConflictError
    return True
