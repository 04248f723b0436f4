"""The tickets that jobs act with. A session lends each job a copy, which is renewed, and wiped at the end."""

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

# Code of the event that a job gets when its ticket is wiped.
SIGN_IN_ENDED: Final = "job.sign_in_ended"
_KEEPS_ITS_STATE: Final = (JobState.PAUSED.value, JobState.CANCELLING.value, JobState.CANCELLED.value)
_WAITS_FOR_SIGN_IN: Final = case(
    (col(Job.state).in_(_KEEPS_ITS_STATE), col(Job.state)),
    else_=JobState.WAITING.value,
)


@dataclass(frozen=True, slots=True)
class JobTicket:
    """A job's copy of its user's ticket or API token. ``repr`` hides the secrets."""

    ticket: str = field(default="", repr=False)
    csrf_token: str = field(default="", repr=False)
    tokenid: str = ""
    token_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LentTicket:
    """A job with its ticket, None where it cannot be decrypted. ``sealed`` is the encrypted text in the row."""

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
        """Lock the session until the transaction ends: shared to lend its ticket, exclusive to wipe it.

        After locking, a lender must check that the session has not ended. So no copy escapes the wipe.
        """
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        await self._session.execute(select(lock(func.hashtextextended(f"session:{session_id}", 0))))

    async def set(self, job_id: UUID, ticket: JobTicket, *, session_id: UUID, signed_in_at: datetime) -> Job:
        """Store a ticket from a sign-in. It ends with its session. Queues a waiting job again.

        Call it under ``lock_session``. Raises ``NotFoundError`` where the job does not exist or has ended.
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
        """Store the worker's renewal of the ticket that ``session_id`` lent.

        Returns False where the ticket was wiped or another session has lent one: an ended session stays ended.
        """
        held = (
            col(Job.lease_owner) == owner,
            col(Job.ticket_enc).is_not(None),
            col(Job.session_id).is_not_distinct_from(session_id),
        )
        sealed = self._seal_ticket(job_id, ticket)
        return await update_job(self._session, job_id, *held, ticket_enc=sealed) is not None

    async def replace(self, lent: LentTicket, ticket: JobTicket) -> bool:
        """Store a scheduled renewal. Returns False where the job no longer has the ticket ``lent``."""
        same = col(Job.ticket_enc) == lent.sealed
        sealed = self._seal_ticket(lent.job_id, ticket)
        return await update_job(self._session, lent.job_id, same, ticket_enc=sealed) is not None

    async def lent(self, after: UUID, limit: int) -> Sequence[LentTicket]:
        """Return the tickets of unfinished and owing jobs, by job id, after the job ``after``.

        Includes jobs that a worker holds: the worker renews only the ticket that the job had when taken.
        """
        wanted = (
            col(Job.id) > after,
            col(Job.state).in_(UNFINISHED) | _owes(),
            col(Job.ticket_enc).is_not(None),
        )
        found = select(Job).where(*wanted).order_by(col(Job.id)).limit(limit)
        return [self._lent(creation) for creation in await self._session.scalars(found)]

    async def get(self, job_id: UUID) -> JobTicket | None:
        """Return the job's ticket. None: the job needs a sign-in.

        Raises ``NotFoundError``, ``WrongKeyError``, ``TamperedError``.
        """
        creation = await self._session.get(Job, job_id, populate_existing=True)
        if creation is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
        return self._open_ticket(job_id, creation.ticket_enc) if creation.ticket_enc else None

    async def wipe_of_session(self, session_id: UUID) -> Sequence[UUID]:
        """Wipe the tickets of an ended session. Returns the ids of its unfinished and owing jobs.

        The jobs lose their worker too, and wait for a sign-in. Paused, cancelling and cancelled jobs keep their state.
        """
        await self.lock_session(session_id, shared=False)
        return await self._wipe(col(Job.session_id) == session_id, col(Job.state).in_(UNFINISHED) | _owes())

    async def wipe(self, lent: LentTicket) -> bool:
        """Wipe a ticket whose sign-in is too old: the job waits for a new sign-in. Returns False as ``replace``."""
        return bool(await self._wipe(col(Job.id) == lent.job_id, col(Job.ticket_enc) == lent.sealed))

    async def wait_for_sign_in(self, job_id: UUID, owner: str, signed_in_at: datetime) -> bool:
        """Release a job whose ticket, from the sign-in at ``signed_in_at``, is no longer valid.

        Wipes the ticket and sets the job ``waiting``, or ``queued`` if a later sign-in has lent another ticket.
        A ``cancelling`` job stays so. Returns False where ``owner`` did not hold the job.
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
        # Locks by id, as lenders do, so that the two cannot deadlock.
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
                # Added here: the worker has lost the job, and a queued job has none.
                ended = NewEvent(EventType.WARNING, run.step, run.percent, code=SIGN_IN_ENDED)
                await append_unheld(self._session, run.id, ended)
        return list(state)

    async def claim_owing(self, limit: int, claim_s: float) -> Sequence[Job]:
        """Claim owing jobs, in random order: cancelled jobs that keep their ticket until their work in PVE is ended.

        No other caller gets them until ``release_owing``, or for ``claim_s`` seconds. Leaves out jobs whose guest
        another job locks.
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
        """Let jobs of ``claim_owing`` that still owe be claimed again."""
        unclaimed = update(Job).where(col(Job.id).in_(job_ids), _owes()).values(enqueued_at=None)
        await self._session.execute(unclaimed.execution_options(synchronize_session=False))

    async def settle(self, job_id: UUID, event: NewEvent) -> bool:
        """Wipe ticket and secrets of an owing job, and add ``event``. Returns False where the job owes nothing."""
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
