"""Whom a run acts as: its user, with the run's own copy of the ticket or API token, 12 h at most.

A ticket is renewed by schedule until the run ends: a run may wait for a slot, or be paused, longer than the 2 h that PVE gives
a ticket. A token's run keeps that token: no sign-in of its user gives it more rights.
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
    """A transaction in which runs are given their copy of the ticket of a session that is open, or of an API token."""

    tx: Transaction
    session: Session

    async def give(self, job_id: UUID) -> Job:
        """A waiting run is queued again. Raises ``NotFoundError`` where it has ended."""
        session = self.session
        ticket = JobTicket(session.ticket, session.csrf_token, session.tokenid, session.token_secret)
        return await self.tx.tickets.set(job_id, ticket, session_id=session.id, signed_in_at=session.signed_in_at)


@asynccontextmanager
async def lending(rt: Runtime, session: Session) -> AsyncIterator[Lending]:
    """The only way to hand a ticket to a run: what is given is wiped by the end of the session, or never given.

    The session's end wipes under the same lock, after the session is gone. So this looks for the session while it holds
    the lock, the one call to Redis within a transaction. An API token has no session that could end.

    Raises ``SessionExpiredError``, and ``ServiceUnavailableError`` where Redis cannot say: it may have ended a moment ago.
    """
    async with rt.db.transaction() as tx:
        await tx.tickets.lock_session(session.id, shared=True)
        if not session.tokenid and not await sessions.is_open(rt, session.key):
            raise SessionExpiredError(detail="ended in the meantime")
        yield Lending(tx, session)


def owns(session: Session, creation: Job) -> bool:
    """Whether the run is the caller's own. A user's are those of his tokens too; of a token only what it asked for itself."""
    if creation.userid != session.userid:
        return False
    return not session.tokenid or creation.session_id == session.id


async def tokenid_of(tx: Transaction, job_id: UUID) -> str:
    """The API token that an unfinished run acts with; empty where it acts with a ticket, or with nothing."""
    try:
        held = await tx.tickets.get(job_id)
    except CryptoError as error:
        log.warning("a run's ticket cannot be read", job_id=str(job_id), why=str(error))
        return ""
    return held.tokenid if held else ""


def token_ended(creation: Job, tokenid: str) -> PhaseFailedError:
    """Why a token's run ends where another would wait for a sign-in."""
    if has_ended(creation):
        hours = round(ABSOLUTE_LIFETIME.total_seconds() / 3600)
        return PhaseFailedError(creation.step, Message.of(JobCode.TOKEN_TOO_OLD, hours=hours))
    return PhaseFailedError(creation.step, Message.of(JobCode.TOKEN_REFUSED, tokenid=tokenid))


def has_ended(creation: Job | Standing) -> bool:
    """Whether 12 h have passed since the last real sign-in for this run, or its session was ended."""
    return creation.ticket_enc is None or now() >= creation.signed_in_at + ABSOLUTE_LIFETIME


async def client_of(rt: Runtime, creation: Job, owner: str) -> ProxmoxClient:
    """PVE as the run's user. A renewed ticket is stored with the run, unless its session was ended meanwhile.

    Raises ``SessionExpiredError`` where a new sign-in is needed.
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
    """When PVE made the ticket, in epoch seconds, from the ticket itself; a time in our future counts as the present.

    One that does not say, or by a clock far from ours, counts as due for renewal.
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
    """Renews each ticket past half of its life, and wipes those whose last real sign-in is 12 h ago. How many are new.

    A run's worker does the same for what the run had when it was taken. An API token is left to itself. What was wiped or
    lent anew meanwhile stays so.
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
    """``_look_at``, whose errors hinder no other run: each is logged, and tried again in the next turn."""
    try:
        return await _look_at(rt, lent, few)
    except DashboardError as error:
        log.warning("ticket of a job not looked at", job_id=str(lent.job_id), why=str(error))
    except Exception:
        log.exception("ticket of a job not looked at", job_id=str(lent.job_id))
    return False


async def _look_at(rt: Runtime, lent: LentTicket, few: asyncio.Semaphore) -> bool:
    """Whether it has a new ticket."""
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
