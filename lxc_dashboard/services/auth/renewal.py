"""Tickets of live sessions renewed by schedule: PVE ends a ticket 2 h after it was made, whatever its session does.

A session may be used now and again in 1 h 59 min; so its ticket is renewed past half of its life, whether or not anybody
uses it. That is no use of the session: neither its idle time nor its end moves.
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

RENEW_AT_MOST: Final = 200
RENEW_AT_ONCE: Final = 20


async def renew_due(runtime: Runtime) -> int:
    """Looks at each session whose ticket is past half of its life; how many there were.

    One that ended by itself is struck off; one whose ticket PVE takes no more is ended. What an ended session lent to
    jobs is wiped where that could not be done at its end.
    """
    try:
        await _wipe_left(runtime)
        now = time.time()
        again_at = now + sessions.RENEW_AGAIN_AFTER_S
        due = await runtime.bus.take_due(sessions.DUE_KEY, until=now, again_at=again_at, count=RENEW_AT_MOST)
        few = asyncio.Semaphore(RENEW_AT_ONCE)
        await asyncio.gather(*(_look_at(runtime, key, few) for key in due))
    except ServiceUnavailableError as error:
        log.warning("no ticket renewed", why=str(error))
        return 0
    return len(due)


async def _wipe_left(runtime: Runtime) -> None:
    for session_id in await runtime.bus.members(sessions.ENDED_KEY):
        await sessions.wipe_copies(runtime, UUID(session_id))


async def _look_at(runtime: Runtime, key: str, few: asyncio.Semaphore) -> None:
    async with few:
        session = await sessions.load(runtime, key)
        if session is None or time.time() - session.ticket_issued_at >= TICKET_LIFETIME_S:
            await runtime.bus.drop_due(sessions.DUE_KEY, key)
            return
        try:
            await sessions.renew(runtime, session)
        except InvalidCredentialsError:
            await _check(runtime, session)
        except DashboardError as error:
            log.warning("ticket not renewed", userid=session.userid, session=str(session.id), why=str(error))


async def _check(runtime: Runtime, session: Session) -> None:
    """A user who was disabled, or whose tickets PVE revoked, is signed in no more."""
    try:
        holds = await sign_in.verify(runtime, session)
    except DashboardError as error:
        log.warning("ticket not checked", userid=session.userid, session=str(session.id), why=str(error))
    else:
        log.info("renewal refused", userid=session.userid, session=str(session.id), ended=not holds)
