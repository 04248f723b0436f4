"""The copies of users' tickets that runs act with: lent by a session, renewed, and wiped for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from lxc_dashboard.crypto import Keyring, SealedColumn
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import EventType, Job, JobState
from lxc_dashboard.db.models.jobs import SEALED_AS
from lxc_dashboard.db.repositories.events import NewEvent, append_unheld
from lxc_dashboard.db.repositories.leases import (
    LEASE,
    TAKEABLE,
    UNFINISHED,
    database_now,
    in_seconds,
    unless_cancelling,
    update_job,
)
from lxc_dashboard.errors import CryptoError, NotFoundError
from lxc_dashboard.messages import Message

# The code of the event that a job whose ticket is wiped leaves.
SIGN_IN_ENDED: Final = "job.sign_in_ended"
_KEEPS_ITS_STATE: Final = (JobState.PAUSED.value, JobState.CANCELLING.value, JobState.CANCELLED.value)
_WAITS_FOR_SIGN_IN: Final = case(
    (col(Job.state).in_(_KEEPS_ITS_STATE), col(Job.state)),
    else_=JobState.WAITING.value,
)


@dataclass(frozen=True, slots=True)
class JobTicket:
    """A job's own copy of what its user came with: a ticket, or an API token. Secrets are not shown by ``repr``."""

    ticket: str = field(default="", repr=False)
    csrf_token: str = field(default="", repr=False)
    tokenid: str = ""
    token_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LentTicket:
    """The ticket that a run holds, None where it cannot be read. ``sealed`` is what stands in the row."""

    job_id: UUID
    endpoint_id: UUID
    userid: str
    signed_in_at: datetime
    ticket: JobTicket | None
    sealed: str = field(repr=False)


class TicketRepository:
    """The tickets that jobs act with, encrypted."""

    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self._session = session
        self._ticket = SealedColumn(keyring, SEALED_AS, "ticket_enc")

    async def lock_session(self, session_id: UUID, *, shared: bool) -> None:
        """Until the transaction ends. Shared by those who lend the session's ticket, held alone by the one who wipes it:
        so whoever lends looks after this whether the session has ended, and every copy is there to be wiped, or never.
        """
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        await self._session.execute(select(lock(func.hashtextextended(f"session:{session_id}", 0))))

    async def set(self, job_id: UUID, ticket: JobTicket, *, session_id: UUID, signed_in_at: datetime) -> Job:
        """A ticket from a real sign-in, of the session that it ends with; a waiting run is queued again.

        Call it under ``lock_session``. Raises ``NotFoundError`` where the run does not exist or has ended.
        """
        values = {
            "ticket_enc": self._seal_ticket(job_id, ticket),
            "session_id": session_id,
            "signed_in_at": signed_in_at,
            "state": case(
                (col(Job.state) == JobState.WAITING.value, JobState.QUEUED.value),
                else_=col(Job.state),
            ),
        }
        creation = await update_job(self._session, job_id, col(Job.state).in_(UNFINISHED), **values)
        if creation is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE_OR_ENDED))
        return creation

    async def renew(self, job_id: UUID, owner: str, session_id: UUID | None, ticket: JobTicket) -> bool:
        """The worker's own renewal of what ``session_id`` lent.

        False where it was wiped or another session lent its own meanwhile: an ended session stays ended.
        """
        held = (
            col(Job.lease_owner) == owner,
            col(Job.ticket_enc).is_not(None),
            col(Job.session_id).is_not_distinct_from(session_id),
        )
        sealed = self._seal_ticket(job_id, ticket)
        return await update_job(self._session, job_id, *held, ticket_enc=sealed) is not None

    async def replace(self, lent: LentTicket, ticket: JobTicket) -> bool:
        """The renewal by schedule. False where that very ticket stands there no more."""
        same = col(Job.ticket_enc) == lent.sealed
        sealed = self._seal_ticket(lent.job_id, ticket)
        return await update_job(self._session, lent.job_id, same, ticket_enc=sealed) is not None

    async def lent(self, after: UUID, limit: int) -> Sequence[LentTicket]:
        """What sessions lent to runs, unfinished or owing, by the runs' ids. Also to those that a worker holds: it renews what
        the run had when it was taken, and not what a later sign-in lent.
        """
        wanted = (
            col(Job.id) > after,
            col(Job.state).in_(UNFINISHED) | _owes(),
            col(Job.ticket_enc).is_not(None),
        )
        found = select(Job).where(*wanted).order_by(col(Job.id)).limit(limit)
        return [self._lent(creation) for creation in await self._session.scalars(found)]

    async def get(self, job_id: UUID) -> JobTicket | None:
        """None: the run needs a sign-in. Raises ``NotFoundError``, ``WrongKeyError``, ``TamperedError``."""
        creation = await self._session.get(Job, job_id, populate_existing=True)
        if creation is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
        return self._open_ticket(job_id, creation.ticket_enc) if creation.ticket_enc else None

    async def wipe_of_session(self, session_id: UUID) -> Sequence[UUID]:
        """The session has ended: its unfinished jobs lose their ticket and their worker, and wait. A paused one stays so,
        one that is being cancelled, and a cancelled one that owed something. Their ids.
        """
        await self.lock_session(session_id, shared=False)
        return await self._wipe(col(Job.session_id) == session_id, col(Job.state).in_(UNFINISHED) | _owes())

    async def wipe(self, lent: LentTicket) -> bool:
        """The last sign-in for the run is too old: it waits for the next one. False as ``replace``."""
        return bool(await self._wipe(col(Job.id) == lent.job_id, col(Job.ticket_enc) == lent.sealed))

    async def wait_for_sign_in(self, job_id: UUID, owner: str, signed_in_at: datetime) -> bool:
        """The worker gives the run back: what was lent after the sign-in at ``signed_in_at`` is worth nothing any more.

        It loses that ticket and waits. It is queued where a later sign-in has brought another, and stays ``cancelling``.
        False where the worker did not hold it.
        """
        newer = (col(Job.signed_in_at) > signed_in_at) & col(Job.ticket_enc).is_not(None)
        values = {
            "state": case((newer, unless_cancelling(JobState.QUEUED)), else_=unless_cancelling(JobState.WAITING)),
            "ticket_enc": case((newer, col(Job.ticket_enc)), else_=None),
            "session_id": case((newer, col(Job.session_id)), else_=None),
            **dict.fromkeys(LEASE),
        }
        held = (col(Job.lease_owner) == owner, col(Job.state).in_(TAKEABLE))
        return await update_job(self._session, job_id, *held, **values) is not None

    async def _wipe(self, *theirs: ColumnElement[bool]) -> Sequence[UUID]:
        # in one order, as those who lend lock them: neither waits for the other
        told = select(col(Job.id), col(Job.state), col(Job.step), col(Job.percent))
        found = (await self._session.execute(told.where(*theirs).order_by(col(Job.id)).with_for_update())).all()
        wiped: dict[str, Any] = dict.fromkeys(("ticket_enc", *LEASE, "session_id"))
        wiped["secrets_enc"] = case((_owes(), None), else_=col(Job.secrets_enc))
        waiting = update(Job).where(col(Job.id).in_([run.id for run in found]))
        waiting = waiting.values(state=_WAITS_FOR_SIGN_IN, **wiped)
        returning = waiting.returning(col(Job.id), col(Job.state)).execution_options(synchronize_session=False)
        state = {row[0]: row[1] for row in await self._session.execute(returning)}
        for run in found:
            if state[run.id] == JobState.WAITING.value != run.state:
                # its worker cannot say so any more, nor would one that stood in line
                ended = NewEvent(EventType.WARNING, run.step, run.percent, code=SIGN_IN_ENDED)
                await append_unheld(self._session, run.id, ended)
        return list(state)

    async def claim_owing(self, limit: int, claim_s: float) -> Sequence[Job]:
        """Cancelled runs that keep their ticket: what they had begun could not be ended yet. In no order.

        Nobody else is given one before ``release_owing``, or ``claim_s`` seconds. Not those whose guest another job locks.
        """
        claimed_at = col(Job.enqueued_at)
        other = aliased(Job)
        busy = exists().where(
            col(other.endpoint_id) == col(Job.endpoint_id),
            col(other.vmid) == col(Job.vmid),
            col(other.locks_guest),
            col(other.state).in_(UNFINISHED),
        )
        free = claimed_at.is_(None) | (claimed_at <= in_seconds(-claim_s))
        found = select(col(Job.id)).where(_owes(), free, ~busy).order_by(func.random()).limit(limit)
        due = found.with_for_update(skip_locked=True, of=Job).cte("due")
        claimed = update(Job).where(col(Job.id).in_(select(due.c.id))).values(enqueued_at=database_now())
        fresh = {"populate_existing": True, "synchronize_session": False}
        return (await self._session.scalars(claimed.returning(Job), execution_options=fresh)).all()

    async def release_owing(self, job_ids: Collection[UUID]) -> None:
        """Those of ``claim_owing`` that owe still may be tried again."""
        unclaimed = update(Job).where(col(Job.id).in_(job_ids), _owes()).values(enqueued_at=None)
        await self._session.execute(unclaimed.execution_options(synchronize_session=False))

    async def settle(self, job_id: UUID, event: NewEvent) -> bool:
        """All that the run owed is done, as ``event`` says: ticket and secrets go. False where that was done before."""
        if await update_job(self._session, job_id, _owes(), ticket_enc=None, secrets_enc=None) is None:
            return False
        await append_unheld(self._session, job_id, event)
        return True

    def _lent(self, creation: Job) -> LentTicket:
        sealed = creation.ticket_enc or ""
        try:
            ticket = self._open_ticket(creation.id, sealed)
        except CryptoError:
            ticket = None
        return LentTicket(creation.id, creation.endpoint_id, creation.userid, creation.signed_in_at, ticket, sealed)

    def _seal_ticket(self, job_id: UUID, ticket: JobTicket) -> str | None:
        parts = [ticket.ticket, ticket.csrf_token, ticket.tokenid, ticket.token_secret]
        return self._ticket.seal_json(parts, job_id)

    def _open_ticket(self, job_id: UUID, sealed: str) -> JobTicket:
        return JobTicket(*self._ticket.open_json(sealed, job_id))


def _owes() -> ColumnElement[bool]:
    return (col(Job.state) == JobState.CANCELLED.value) & col(Job.ticket_enc).is_not(None)
