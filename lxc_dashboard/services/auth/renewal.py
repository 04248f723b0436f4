"""Renews the tickets of open sessions by schedule. PVE ends a ticket 2 h after it was issued.

A ticket is renewed after half of its life, whether or not the session is used. That does not count as use of the session.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.errors import DashboardError, InvalidCredentialsError, ServiceUnavailableError
from lxc_dashboard.proxmox.auth import TICKET_LIFETIME_S
from lxc_dashboard.services.auth import sessions, sign_in

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

RENEWALS_PER_RUN: Final = 200
RENEW_AT_ONCE: Final = 20


async def renew_due(runtime: Runtime) -> int:
    """Renew the tickets past half of their life; the number of sessions checked.

    Ends sessions whose ticket PVE refuses. Wipes jobs' copies of tickets that could not be wiped when their session ended.
    """
    try:
        await _wipe_pending(runtime)
        now = time.time()
        retry_at = now + sessions.RENEW_AGAIN_AFTER_S
        due = await runtime.bus.take_due(sessions.DUE_KEY, until=now, again_at=retry_at, count=RENEWALS_PER_RUN)
        slots = asyncio.Semaphore(RENEW_AT_ONCE)
        await asyncio.gather(*(_renew(runtime, key, slots) for key in due))
    except ServiceUnavailableError as error:
        log.warning("ticket renewal unavailable", why=str(error))
        return 0
    return len(due)


async def _wipe_pending(runtime: Runtime) -> None:
    for session_id in await runtime.bus.members(sessions.ENDED_KEY):
        await sessions.wipe_copies(runtime, UUID(session_id))


async def _renew(runtime: Runtime, key: str, slots: asyncio.Semaphore) -> None:
    async with slots:
        session = await sessions.load(runtime, key)
        if session is None or time.time() - session.ticket_issued_at >= TICKET_LIFETIME_S:
            await runtime.bus.drop_due(sessions.DUE_KEY, key)
            return
        try:
            await sessions.renew(runtime, session)
        except InvalidCredentialsError:
            await _check(runtime, session)
        except DashboardError as error:
            log.warning("ticket renewal failed", userid=session.userid, session=str(session.id), why=str(error))


async def _check(runtime: Runtime, session: Session) -> None:
    """End the session if PVE refuses its ticket: the user is disabled, or the ticket was revoked."""
    try:
        is_valid = await sign_in.verify(runtime, session)
    except DashboardError as error:
        log.warning("ticket check failed", userid=session.userid, session=str(session.id), why=str(error))
    else:
        log.info("renewal refused", userid=session.userid, session=str(session.id), ended=not is_valid)
