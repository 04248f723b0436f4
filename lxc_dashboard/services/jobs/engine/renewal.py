"""Tickets of runs, renewed by schedule: a run may stand in line, or be paused, longer than 2 h."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import now
from lxc_dashboard.db.repositories.tickets import JobTicket, LentTicket
from lxc_dashboard.errors import DashboardError, ServiceUnavailableError
from lxc_dashboard.proxmox.auth import TICKET_RENEW_AFTER_S, login
from lxc_dashboard.services.auth import endpoints
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.jobs.engine.ticket import issued_at

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

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
