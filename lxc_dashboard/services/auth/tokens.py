"""Callers with a PVE API token instead of a sign-in. PVE checks the token.

An accepted token is not checked again for ``HOLDS_FOR_S``: every act sends it to PVE anyway.

PVE delays each refusal by seconds, and all requests to an endpoint share its connections. So each check of a token that
PVE has not accepted within ``ACCEPTED_S`` is counted before the request, by token and by address. Only a few checks run
at once at an endpoint.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.db.models.base import storable_text
from lxc_dashboard.errors import (
    ApiError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionExpiredError,
    TlsError,
    TokenRefusedError,
    UnreachableError,
)
from lxc_dashboard.messages import Message, MessageCode
from lxc_dashboard.printable import has_hidden
from lxc_dashboard.proxmox.schemas.tasks import user_of
from lxc_dashboard.services.auth import acting, limits
from lxc_dashboard.services.auth.model import Session

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.sign_in import Origin


class AuthCode(MessageCode):
    TOO_MANY_NEW_TOKENS = "auth.too_many_new_tokens"
    NO_SUCH_ENDPOINT = "auth.no_such_endpoint"
    NO_DEFAULT_ENDPOINT = "auth.no_default_endpoint"


# These limits are for scripts with an old token. Nobody guesses a uuid, so they count by address.
REFUSALS_PER_TOKEN: Final = 10
REFUSALS_PER_ADDRESS: Final = 30
REFUSALS_WINDOW_S: Final = 600
ACCEPTED_S: Final = 24 * 3600.0
# How many of the 32 connections to an endpoint may check new tokens. A valid token's check takes milliseconds.
AT_ONCE: Final = 8
PLACE_WITHIN_S: Final = 1.0


@asynccontextmanager
async def counted(rt: Runtime, session: Session) -> AsyncIterator[None]:
    """Count the check of a token that PVE has not accepted lately. Only a ``TokenRefusedError`` stays counted.

    Raises ``RateLimitedError``, and ``ServiceUnavailableError`` if too many checks run.
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
    """Hold one of the endpoint's slots for checks. Raises ``ServiceUnavailableError`` if none becomes free."""
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
    """Count a malformed token, apart from refused ones. Raises ``RateLimitedError``."""
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


log = structlog.get_logger(__name__)

HOLDS_FOR_S: Final = 10.0
ANSWER_WITHIN_S: Final = 15.0
HEADER_CHARS: Final = 400
NAME_CHARS: Final = 64
PATH: Final = "/version"
_HEADER: Final = re.compile(
    r"PVEAPIToken=(?P<tokenid>[^\s:/]{1,64}@[A-Za-z][A-Za-z0-9.\-_]{1,31}![A-Za-z][A-Za-z0-9.\-_]{1,63})"
    r"=(?P<secret>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)


async def session_of(rt: Runtime, header: str, endpoint_name: str, origin: Origin) -> Session:
    """The session of ``Authorization: PVEAPIToken=user@realm!name=uuid`` at the named or the default endpoint.

    ``GET /version`` with the token. Raises ``TokenRefusedError`` (every refusal of PVE), ``RateLimitedError``,
    ``InvalidInputError`` (``endpoint``), ``NotFoundError`` (none is registered), ``UnreachableError``, ``TlsError``,
    ``ApiError``, and ``ServiceUnavailableError`` (too many new tokens at once).
    """
    match = _HEADER.fullmatch(header) if len(header) <= HEADER_CHARS and not has_hidden(header) else None
    tokenid, secret = (match["tokenid"], match["secret"]) if match else ("", "")
    if match is None:
        if header:
            await count_malformed(rt, origin.address)
        raise TokenRefusedError(detail="no token" if not header else "no PVE API token")
    endpoint_id, endpoint_name = await _endpoint(rt, endpoint_name)
    session = Session(
        id=uuid5(endpoint_id, tokenid),
        endpoint_id=endpoint_id,
        endpoint_name=endpoint_name,
        userid=user_of(tokenid),
        signed_in_at=datetime.now(UTC),
        address=origin.address,
        user_agent=origin.user_agent[:200],
        tokenid=tokenid,
        token_secret=secret,
    )
    await verify(rt, session)
    return session


async def verify(rt: Runtime, session: Session) -> None:
    """Check that PVE accepts the token. Concurrent callers share one request. Raises as ``session_of``.

    Without Redis every check is a request to PVE, and nothing is counted.
    """
    content = f"{session.endpoint_id} {session.tokenid} {session.token_secret}"
    digest = hashlib.sha256(content.encode()).hexdigest()
    key = f"{digest} {limits.network(session.address)}"
    check = rt.verifying.get(key)
    if check is None:
        check = rt.verifying[key] = asyncio.create_task(_verify(rt, session, digest), name="token")
        check.add_done_callback(partial(_settle, rt, key))
    await asyncio.shield(check)


async def _verify(rt: Runtime, session: Session, digest: str) -> None:
    """Read the stored result inside the shared task, to get the latest one."""
    try:
        if await rt.bus.get(_held(digest)) is not None:
            return
    except ServiceUnavailableError:
        check = _request_uncounted(rt, session)
    else:
        check = _request_counted(rt, session, digest)
    await check


async def _request_counted(rt: Runtime, session: Session, digest: str) -> None:
    if await rt.bus.get(_accepted(digest)) is None:
        async with counted(rt, session):
            await _request(rt, session)
    else:
        try:
            await _request(rt, session)
        except TokenRefusedError:
            with suppress(ServiceUnavailableError):
                await rt.bus.delete(_accepted(digest))
            raise
    with suppress(ServiceUnavailableError):
        await rt.bus.set(_held(digest), b"1", ttl_s=HOLDS_FOR_S)
        await rt.bus.set(_accepted(digest), b"1", ttl_s=ACCEPTED_S)


async def _request_uncounted(rt: Runtime, session: Session) -> None:
    async with place(rt, session.endpoint_id):
        await _request(rt, session)


def _settle(rt: Runtime, key: str, check: asyncio.Task[None]) -> None:
    """Retrieve the error, because all callers may have gone."""
    rt.verifying.pop(key, None)
    if not check.cancelled():
        check.exception()


def _held(digest: str) -> str:
    return f"auth:token:{digest}"


def _accepted(digest: str) -> str:
    return f"auth:token-accepted:{digest}"


async def _request(rt: Runtime, session: Session) -> None:
    """``GET /version`` with the token. PVE's messages go to the log only, because the caller is not known yet."""
    try:
        client = await acting.client(rt, session)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await client.version()
    except TimeoutError as error:
        raise UnreachableError(node=session.endpoint_name, path=PATH, detail="no answer") from error
    except SessionExpiredError as error:
        await _audit_refusal(rt, session)
        raise TokenRefusedError(detail=error.detail) from None
    except TlsError as error:
        raise TlsError(node=session.endpoint_name, path=PATH, detail=str(error)) from error
    except ApiError as error:
        log.warning("token check failed", tokenid=session.tokenid, why=str(error))
        raise ApiError(error.status, "", node=session.endpoint_name, path=PATH) from error


async def _endpoint(rt: Runtime, name: str) -> tuple[UUID, str]:
    async with rt.db.transaction() as tx:
        node = await tx.nodes.by_name(storable_text(name, NAME_CHARS)) if name else await tx.nodes.default()
    if node is not None:
        return node.id, node.name
    if name:
        raise InvalidInputError({"endpoint": Message.of(AuthCode.NO_SUCH_ENDPOINT)})
    raise NotFoundError(Message.of(AuthCode.NO_DEFAULT_ENDPOINT))


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
        log.warning("audit of refused token failed", tokenid=session.tokenid, why=str(error))
