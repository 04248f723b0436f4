"""The credentials of a job: its own copy of its user's ticket or API token, for at most 12 h.

A ticket is renewed by schedule until the job ends. A job may wait for a slot, or be paused, for longer than the 2 h
that a ticket is valid. A job with an API token keeps that token: no sign-in of its user gives it more rights.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import Job, now
from lxc_dashboard.db.repositories.jobs import Standing
from lxc_dashboard.db.repositories.tickets import JobTicket, LentTicket
from lxc_dashboard.errors import (
    CryptoError,
    DashboardError,
    PhaseFailedError,
    ServiceUnavailableError,
    SessionExpiredError,
)
from lxc_dashboard.proxmox.auth import TICKET_LIFETIME_S, TICKET_RENEW_AFTER_S, Ticket, TicketAuth, TokenAuth, login
from lxc_dashboard.services.auth import endpoints, sessions
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.jobs.codes import JobCode, Message

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


log = structlog.get_logger(__name__)

_ISSUED: Final = re.compile(r"^PVE:[^\s]+:(?P<at>[0-9A-Fa-f]{8})::")


@dataclass(frozen=True, slots=True)
class Lending:
    """A transaction that gives jobs their copy of an open session's ticket, or of an API token."""

    tx: Transaction
    session: Session

    async def give(self, job_id: UUID) -> Job:
        """Give the job its copy. Queues a waiting job again. Raises ``NotFoundError`` if the job has ended."""
        session = self.session
        ticket = JobTicket(session.ticket, session.csrf_token, session.tokenid, session.token_secret)
        return await self.tx.tickets.set(job_id, ticket, session_id=session.id, signed_in_at=session.signed_in_at)


@asynccontextmanager
async def lending(rt: Runtime, session: Session) -> AsyncIterator[Lending]:
    """The only way to give a ticket to a job: the end of the session wipes each copy, and none is given after it.

    The end of a session wipes the copies under the same lock, after it has deleted the session. So this function checks
    the session while it holds the lock: the one call to Redis within a transaction. An API token has no session.

    Raises ``SessionExpiredError``, and ``ServiceUnavailableError`` if Redis does not answer.
    """
    async with rt.db.transaction() as tx:
        await tx.tickets.lock_session(session.id, shared=True)
        if not session.tokenid and not await sessions.is_open(rt, session.key):
            raise SessionExpiredError(detail="ended in the meantime")
        yield Lending(tx, session)


def owns(session: Session, creation: Job) -> bool:
    """Whether the job is the caller's own. A user also owns the jobs of their tokens, a token only its own jobs."""
    if creation.userid != session.userid:
        return False
    return not session.tokenid or creation.session_id == session.id


async def tokenid_of(tx: Transaction, job_id: UUID) -> str:
    """The id of an unfinished job's API token; empty if the job has a ticket, or nothing."""
    try:
        held = await tx.tickets.get(job_id)
    except CryptoError as error:
        log.warning("a run's ticket cannot be read", job_id=str(job_id), why=str(error))
        return ""
    return held.tokenid if held else ""


def token_ended(creation: Job, tokenid: str) -> PhaseFailedError:
    """The error that ends a job with an API token. Another job would wait for a sign-in instead."""
    if has_ended(creation):
        hours = round(ABSOLUTE_LIFETIME.total_seconds() / 3600)
        return PhaseFailedError(creation.step, Message.of(JobCode.TOKEN_TOO_OLD, hours=hours))
    return PhaseFailedError(creation.step, Message.of(JobCode.TOKEN_REFUSED, tokenid=tokenid))


def has_ended(creation: Job | Standing) -> bool:
    """Whether 12 h have passed since the last real sign-in for this job, or its session has ended."""
    return creation.ticket_enc is None or now() >= creation.signed_in_at + ABSOLUTE_LIFETIME


async def client_of(rt: Runtime, creation: Job, owner: str) -> ProxmoxClient:
    """A client that acts as the job's user. Stores a renewed ticket with the job, unless its session has ended since.

    Raises ``SessionExpiredError`` if a new sign-in is required.
    """
    async with rt.db.transaction() as tx:
        held = await tx.tickets.get(creation.id)
    if held is None or has_ended(creation):
        raise SessionExpiredError

    async def keep(ticket: str, csrf_token: str) -> None:
        async with rt.db.transaction() as tx:
            renewed = JobTicket(ticket, csrf_token)
            kept = await tx.tickets.renew(creation.id, owner, creation.session_id, renewed)
        if not kept:
            log.info("renewed ticket not kept", job_id=str(creation.id))

    endpoint = await endpoints.endpoint(rt, creation.endpoint_id)
    if held.tokenid:
        return rt.pve.client(endpoint, TokenAuth(held.tokenid, held.token_secret))
    ticket = Ticket(creation.userid, held.ticket, held.csrf_token, issued_at(held.ticket))
    return rt.pve.client(endpoint, TicketAuth(ticket, keep))


def issued_at(ticket: str, *, present: float | None = None) -> float:
    """When PVE issued the ticket, in epoch seconds, read from the ticket. A time in our future counts as the present.

    A ticket without a time, or issued by a clock far behind ours, counts as due for renewal.
    """
    present = time.time() if present is None else present
    found = _ISSUED.match(ticket)
    made = int(found["at"], 16) if found else 0
    if made < present - TICKET_LIFETIME_S:
        return present - TICKET_RENEW_AFTER_S
    return min(float(made), present)


LOOKED_AT_ONCE: Final = 200
RENEW_AT_ONCE: Final = 20
RENEWAL_TAKES_AT_MOST_S: Final = 5.0


async def renew_due(rt: Runtime) -> int:
    """Renew each ticket past half of its life, and wipe those whose last real sign-in is 12 h ago.

    Returns the number of renewed tickets. A worker itself renews the ticket that its job had when it took the job. API
    tokens are not touched. A ticket that was wiped or replaced in the meantime stays so.
    """
    few, renewed, after = asyncio.Semaphore(RENEW_AT_ONCE), 0, UUID(int=0)
    try:
        while True:
            async with rt.db.transaction() as tx:
                found = await tx.tickets.lent(after, LOOKED_AT_ONCE)
            renewed += sum(await asyncio.gather(*(_quietly(rt, lent, few) for lent in found)))
            if len(found) < LOOKED_AT_ONCE:
                return renewed
            after = found[-1].job_id
    except ServiceUnavailableError as error:
        log.warning("no more tickets of jobs renewed", why=str(error))
        return renewed


async def _quietly(rt: Runtime, lent: LentTicket, few: asyncio.Semaphore) -> bool:
    """``_look_at``, but log an error instead of raising it, so that other jobs go on. The next turn tries again."""
    try:
        return await _look_at(rt, lent, few)
    except DashboardError as error:
        log.warning("ticket of a job not looked at", job_id=str(lent.job_id), why=str(error))
    except Exception:
        log.exception("ticket of a job not looked at", job_id=str(lent.job_id))
    return False


async def _look_at(rt: Runtime, lent: LentTicket, few: asyncio.Semaphore) -> bool:
    """Renew or wipe the job's ticket if that is due. Returns whether the job has a new ticket."""
    if lent.ticket is not None and lent.ticket.tokenid:
        return False
    async with few:
        if now() >= lent.signed_in_at + ABSOLUTE_LIFETIME:
            async with rt.db.transaction() as tx:
                await tx.tickets.wipe(lent)
            log.info("creation waits for a sign-in", job_id=str(lent.job_id))
            return False
        if lent.ticket is None or time.time() - issued_at(lent.ticket.ticket) < TICKET_RENEW_AFTER_S:
            return False
        return await _renew(rt, lent, lent.ticket)


async def _renew(rt: Runtime, lent: LentTicket, present: JobTicket) -> bool:
    try:
        client = rt.pve.client(await endpoints.endpoint(rt, lent.endpoint_id))
        async with asyncio.timeout(RENEWAL_TAKES_AT_MOST_S):
            ticket = await login(client, lent.userid, present.ticket)
    except (DashboardError, TimeoutError) as error:
        log.warning("ticket of a job not renewed", job_id=str(lent.job_id), why=str(error))
        return False
    async with rt.db.transaction() as tx:
        return await tx.tickets.replace(lent, JobTicket(ticket.ticket, ticket.csrf_token))
