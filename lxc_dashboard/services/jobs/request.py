"""Turns a signed-in user's request into a job that a worker can take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

import msgspec

from lxc_dashboard.db.models import AuditResult, Job, new_id
from lxc_dashboard.errors import BusyGuestError, ConflictError, NotFoundError, PrivilegeError
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.jobs import identity
from lxc_dashboard.services.jobs.acts import Act, params_of
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.ticket import lending, owns
from lxc_dashboard.services.jobs.identity import ITS_OWN, Standing

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.engine.run import Guest

BINDS: Final = ITS_OWN | {Standing.UNKNOWN}


async def request(
    rt: Runtime,
    session: Session,
    act: Act,
    guest: Guest,
    params: Mapping[str, Any] | None = None,
    *,
    job_id: UUID | None = None,
) -> UUID:
    """Store and enqueue a job that does ``act`` to the guest. Returns its id. The same ``job_id`` twice makes one job.

    Raises ``BusyGuestError`` if an unfinished job locks the guest, ``PrivilegeError``, ``SessionExpiredError``,
    ``msgspec.ValidationError`` for invalid ``params``, and the errors of PVE.
    """
    checked = params_of(act, params or {})
    container_id, _ = await asyncio.gather(
        _container_of(rt, session, guest),
        _require_privileges(rt, session, act, guest, act.path(guest, checked)),
    )
    if act.refuse is not None:
        await act.refuse(rt, session, guest, checked)
    wanted = job_id or new_id()
    job = _job(session, act, guest, id=wanted, params=msgspec.to_builtins(checked), container_id=container_id)
    try:
        async with lending(rt, session) as lent:
            await lent.tx.jobs.add(job)
            await lent.give(wanted)
            await _audit(lent.tx, session, act, guest, AuditResult.OK, job=str(wanted))
    except ConflictError as error:
        if job_id is not None and await is_known(rt, session, job_id):
            return job_id  # the same request was stored a moment earlier
        await refuse_busy(rt, session.endpoint_id, guest, error)
    await enqueue(rt, wanted)
    return wanted


def _job(session: Session, act: Act, guest: Guest, **values: Any) -> Job:
    return Job(
        kind=act.name,
        endpoint_id=session.endpoint_id,
        vmid=guest.vmid,
        node=guest.node,
        name=guest.name,
        userid=session.userid,
        locks_guest=act.locks_guest,
        signed_in_at=session.signed_in_at,
        session_id=session.id,
        **values,
    )


async def _container_of(rt: Runtime, session: Session, guest: Guest) -> UUID | None:
    """The id of our container with this vmid, unless PVE says that the guest is another one now."""
    async with rt.db.transaction() as tx:
        container = await tx.containers.by_vmid(session.endpoint_id, guest.vmid)
        known = await tx.containers.known(session.endpoint_id, [container.id]) if container else ()
    if not known:
        return None
    standing = await identity.standing_at(await acting.client(rt, session), known[0], guest.node)
    return known[0].container_id if standing in BINDS else None


async def _require_privileges(rt: Runtime, session: Session, act: Act, guest: Guest, path: str) -> None:
    """Raise ``PrivilegeError``, with an audit entry, if the user lacks a privilege."""
    try:
        await privileges.require(rt, session, path, *act.needs)
    except PrivilegeError as error:
        async with rt.db.transaction() as tx:
            await _audit(tx, session, act, guest, AuditResult.REFUSED, cause=str(error))
        raise


async def is_known(rt: Runtime, session: Session, job_id: UUID) -> bool:
    """Whether the user made this request before. Raises ``ConflictError`` if the id belongs to another user's job."""
    try:
        async with rt.db.transaction() as tx:
            job = await tx.jobs.get(job_id)
    except NotFoundError:
        return False
    if job.endpoint_id != session.endpoint_id or not owns(session, job):
        raise ConflictError
    return True


async def refuse_busy(
    rt: Runtime, endpoint_id: UUID, guest: Guest, error: ConflictError, *, own: UUID | None = None
) -> NoReturn:
    """Raise ``BusyGuestError`` if a job other than ``own`` locks the guest, else ``error``."""
    async with rt.db.transaction() as tx:
        first = await tx.jobs.locking(endpoint_id, guest.vmid)
    if first is None or first.id == own:  # it has ended since, or did not cause the conflict
        raise error
    raise BusyGuestError(str(guest), first.kind, first.userid, first.id) from error


async def _audit(tx: Transaction, session: Session, act: Act, guest: Guest, result: AuditResult, **detail: str) -> None:
    await tx.audit.append(
        userid=session.authid,
        endpoint_name=session.endpoint_name,
        action=act.name,
        subject=str(guest),
        address=session.address,
        result=result,
        detail={"node": guest.node, **detail},
    )
