"""How often PVE is asked about API tokens that it has not accepted yet: from one address, and at one endpoint at a time.

PVE holds each refusal for seconds, and all who act at an endpoint share its connections. So a try is counted before PVE is
asked, and few are under way at once. What PVE has accepted within ``ACCEPTED_S`` is asked about whatever strangers try.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import DashboardError, RateLimitedError, ServiceUnavailableError, TokenRefusedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import limits
from lxc_dashboard.services.auth.codes import AuthCode

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

# Nobody guesses a uuid: the limits keep a script with an old token from asking PVE all day. So they are an address's own.
REFUSALS_PER_TOKEN: Final = 10
REFUSALS_PER_ADDRESS: Final = 30
REFUSALS_WINDOW_S: Final = 600
ACCEPTED_S: Final = 24 * 3600.0
# Of the 32 connections to an endpoint; a token that PVE takes is through in milliseconds.
AT_ONCE: Final = 8
PLACE_WITHIN_S: Final = 1.0


@asynccontextmanager
async def counted(rt: Runtime, session: Session) -> AsyncIterator[None]:
    """A try of a token that PVE has not accepted lately. It stays counted where ``TokenRefusedError`` is raised within.

    Raises ``RateLimitedError``, and ``ServiceUnavailableError`` where too many are under way.
    """
    counters = _counters(session.tokenid, session.address)
    await limits.hit_all(rt.bus, counters, REFUSALS_WINDOW_S)
    try:
        async with place(rt, session.endpoint_id):
            yield
    except TokenRefusedError:
        raise
    except DashboardError:
        await _give_back(rt, counters)
        raise
    await _give_back(rt, counters)


@asynccontextmanager
async def place(rt: Runtime, endpoint_id: UUID) -> AsyncIterator[None]:
    """One of the few tries at an endpoint. Raises ``ServiceUnavailableError`` where none becomes free soon."""
    places = rt.token_tries.setdefault(endpoint_id, asyncio.Semaphore(AT_ONCE))
    try:
        async with asyncio.timeout(PLACE_WITHIN_S):
            await places.acquire()
    except TimeoutError:
        raise ServiceUnavailableError(Message.of(AuthCode.TOO_MANY_NEW_TOKENS)) from None
    try:
        yield
    finally:
        places.release()


async def count_malformed(rt: Runtime, address: str) -> None:
    """What is no token at all counts against nothing but its own kind. Raises ``RateLimitedError``."""
    key = f"auth:token-refusals:malformed:{limits.network(address)}"
    with suppress(ServiceUnavailableError):
        if wait_s := await rt.bus.hit(key, REFUSALS_PER_ADDRESS, REFUSALS_WINDOW_S):
            raise RateLimitedError(wait_s)


def _counters(tokenid: str, address: str) -> dict[str, int]:
    network = limits.network(address)
    token = hashlib.sha256(f"{tokenid.lower()} {network}".encode()).hexdigest()
    return {
        f"auth:token-refusals:{token}": REFUSALS_PER_TOKEN,
        f"auth:token-refusals:from:{network}": REFUSALS_PER_ADDRESS,
    }


async def _give_back(rt: Runtime, counters: dict[str, int]) -> None:
    with suppress(ServiceUnavailableError):
        await limits.give_back(rt.bus, counters)
