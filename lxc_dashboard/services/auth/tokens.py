"""Callers who send their own PVE API token along, instead of signing in. PVE decides on it, each time.

What PVE has just accepted is accepted for ``HOLDS_FOR_S`` more: whatever is then done is asked of PVE with the token anyway.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.db.storable import storable_text
from lxc_dashboard.errors import (
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionExpiredError,
    TokenRefusedError,
    UnreachableError,
)
from lxc_dashboard.services.auth import acting, limits
from lxc_dashboard.services.auth.model import Session

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.sign_in import Origin

log = structlog.get_logger(__name__)

HOLDS_FOR_S: Final = 10.0
ANSWER_TAKES_AT_MOST_S: Final = 15.0
# Nobody guesses a uuid: the limits keep a script with an old token from asking PVE all day. So they are an address's own.
REFUSALS_PER_TOKEN: Final = 10
REFUSALS_PER_ADDRESS: Final = 30
REFUSALS_WINDOW_S: Final = 600
HEADER_CHARS: Final = 400
NAME_CHARS: Final = 64
_HEADER: Final = re.compile(
    r"PVEAPIToken=(?P<tokenid>[^\s:/!=;,]{1,64}@[A-Za-z][A-Za-z0-9.\-_]{1,31}![A-Za-z][A-Za-z0-9.\-_]{1,63})"
    r"=(?P<secret>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)


async def session_of(rt: Runtime, header: str, endpoint_name: str, origin: Origin) -> Session:
    """Who sent ``Authorization: PVEAPIToken=user@realm!name=uuid``, at the endpoint of that name or at the default one.

    ``GET /version`` with the token. Raises ``TokenRefusedError`` (one for whatever PVE refuses), ``RateLimitedError``,
    ``InvalidInputError`` (``endpoint``), ``NotFoundError`` (none is registered), ``UnreachableError``, ``TlsError``.
    """
    found = _HEADER.fullmatch(header) if len(header) <= HEADER_CHARS else None
    tokenid, secret = (found["tokenid"], found["secret"]) if found else ("", "")
    if found is None:
        counters = _counters("", origin.address)
        await _refuse_if_limited(rt, counters)
        if header:
            await _count(rt, counters)
        raise TokenRefusedError(detail="no token" if not header else "no PVE API token")
    endpoint_id, known_as = await _endpoint(rt, endpoint_name)
    session = Session(
        id=uuid5(endpoint_id, tokenid),
        endpoint_id=endpoint_id,
        endpoint_name=known_as,
        userid=tokenid.partition("!")[0],
        signed_in_at=datetime.now(UTC),
        address=origin.address,
        user_agent=origin.user_agent[:200],
        tokenid=tokenid,
        token_secret=secret,
    )
    await verify(rt, session)
    return session


async def verify(rt: Runtime, session: Session) -> None:
    """Whether PVE takes the token still. Raises as ``session_of``."""
    said = f"{session.endpoint_id} {session.tokenid} {session.token_secret}"
    known = f"auth:token:{hashlib.sha256(said.encode()).hexdigest()}"
    if await rt.bus.get(known) is not None:
        return
    counters = _counters(session.tokenid, session.address)
    await _refuse_if_limited(rt, counters)
    await _ask(rt, session, counters)
    await rt.bus.set(known, b"1", ttl_s=HOLDS_FOR_S)


async def _ask(rt: Runtime, session: Session, counters: dict[str, int]) -> None:
    client = await acting.client(rt, session)
    try:
        async with asyncio.timeout(ANSWER_TAKES_AT_MOST_S):
            await client.version()
    except TimeoutError as error:
        raise UnreachableError(node=session.endpoint_name, path="/version", detail="no answer") from error
    except SessionExpiredError as error:
        await _count(rt, counters)
        await _audit_refusal(rt, session)
        raise TokenRefusedError(detail=error.detail) from None


async def _endpoint(rt: Runtime, name: str) -> tuple[UUID, str]:
    async with rt.db.transaction() as tx:
        node = await tx.nodes.by_name(storable_text(name, NAME_CHARS)) if name else await tx.nodes.default()
    if node is not None:
        return node.id, node.name
    if name:
        raise InvalidInputError({"endpoint": "No PVE endpoint is registered by this name"})
    raise NotFoundError("No PVE endpoint is registered as the default one: name one with ?endpoint=")


def _counters(tokenid: str, address: str) -> dict[str, int]:
    network = limits.network(address)
    token = hashlib.sha256(f"{tokenid.lower()} {network}".encode()).hexdigest()
    of_token = {f"auth:token-refusals:{token}": REFUSALS_PER_TOKEN} if tokenid else {}
    return {**of_token, f"auth:token-refusals:from:{network}": REFUSALS_PER_ADDRESS}


async def _refuse_if_limited(rt: Runtime, counters: dict[str, int]) -> None:
    for key, limit in counters.items():
        if int(await rt.bus.get(key) or 0) >= limit:
            raise RateLimitedError(max(1, await rt.bus.hit(key, limit, REFUSALS_WINDOW_S)))


async def _count(rt: Runtime, counters: dict[str, int]) -> None:
    for key, limit in counters.items():
        await rt.bus.hit(key, limit, REFUSALS_WINDOW_S)


async def _audit_refusal(rt: Runtime, session: Session) -> None:
    try:
        async with rt.db.transaction() as tx:
            await tx.audit.append(
                userid=session.tokenid,
                action="auth.token",
                result=AuditResult.REFUSED,
                endpoint_name=session.endpoint_name,
                address=session.address,
            )
    except ServiceUnavailableError as error:
        log.warning("refused token not audited", tokenid=session.tokenid, why=str(error))
