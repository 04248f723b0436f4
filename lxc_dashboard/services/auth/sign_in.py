"""Sign-in with password and second factor, within the limits on attempts.

Every refusal of PVE is the same error after the same time, so that nobody can find out which users exist. Only an
unreachable PVE is a different error.

Open second-factor challenges of PVE are stored for two minutes. The browser holds a random token in a cookie. Its SHA-256 is
the key; the challenge is encrypted and bound to it.

The tickets of open sessions are renewed by schedule after half of their life, whether or not the session is used: PVE ends
them after 2 h. That does not count as use of the session.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import (
    CryptoError,
    DashboardError,
    InvalidCredentialsError,
    ServiceUnavailableError,
    SessionExpiredError,
    TfaRequiredError,
    UnreachableError,
)
from lxc_dashboard.printable import has_hidden
from lxc_dashboard.proxmox.auth import SIGN_IN_PATH, TICKET_LIFETIME_S, Ticket, answer_tfa, login
from lxc_dashboard.services.auth import acting, endpoints, limits, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.auth.sessions import COOKIE_BYTES, COOKIE_CHARS, key_of

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import Endpoint, ProxmoxClient
    from lxc_dashboard.runtime import Runtime


log = structlog.get_logger(__name__)

LIFETIME_S: Final = 120


class Challenge(msgspec.Struct, frozen=True):
    """``challenge``: PVE's own. ``kinds``: the supported second factors."""

    endpoint_id: UUID
    userid: str
    challenge: str
    kinds: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Challenge(userid={self.userid!r}, kinds={self.kinds!r})"


_DECODER = msgspec.json.Decoder(Challenge)


async def keep(runtime: Runtime, challenge: Challenge) -> str:
    """Store a challenge and return its token."""
    token = secrets.token_urlsafe(COOKIE_BYTES)
    content = msgspec.json.encode(challenge)
    sealed = runtime.keyring.encrypt(content, table="tfa", column="challenge", row=key_of(token))
    await runtime.bus.set(_key(token), sealed.encode(), ttl_s=LIFETIME_S)
    return token


async def find(runtime: Runtime, token: str) -> Challenge | None:
    """The challenge of ``token``; None if there is none or it has expired."""
    if len(token) != COOKIE_CHARS:
        return None
    sealed = await runtime.bus.get(_key(token))
    if sealed is None:
        return None
    try:
        content = runtime.keyring.decrypt(sealed.decode(), table="tfa", column="challenge", row=key_of(token))
    except CryptoError as error:
        log.warning("challenge unreadable", why=str(error))
        return None
    return _DECODER.decode(content)


async def forget(runtime: Runtime, token: str) -> None:
    await runtime.bus.delete(_key(token))


def _key(token: str) -> str:
    return f"auth:challenge:{key_of(token)}"


# PVE delays a refusal by 3 s. Each of our refusals takes one second more, to cover the network.
REFUSAL_DELAY_S: Final = 4.0
# The directory of a realm may be slow.
ANSWER_WITHIN_S: Final = 15.0
USERID_CHARS: Final = 64
PASSWORD_CHARS: Final = 4096
# Every PVE has these two, so a name with such an ending is complete.
BUILT_IN_REALMS: Final = ("pam", "pve")
ANSWERABLE_KINDS: Final = ("totp", "recovery", "yubico")


@dataclass(frozen=True, slots=True)
class Origin:
    """The client of an attempt, for limits and audit."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    session: Session
    cookie_value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondStep:
    """PVE requires a second factor. ``token``: finds the stored challenge for 2 min."""

    userid: str
    kinds: tuple[str, ...]
    token: str = field(default="", repr=False)


async def sign_in(
    runtime: Runtime, endpoint_id: UUID, *, user: str, realm: str, password: str, origin: Origin
) -> SignedIn | SecondStep:
    """The first step of a sign-in: the password.

    Raises ``InvalidCredentialsError`` (every refusal of PVE), ``RateLimitedError``, ``UnreachableError``, ``TlsError``,
    ``NotFoundError`` (no such endpoint).
    """
    endpoint = await endpoints.endpoint(runtime, endpoint_id)
    userid = userid_of(user, realm)
    async with _attempt(runtime, endpoint, endpoint_id, userid, origin) as client:
        if len(userid) > USERID_CHARS or len(password) > PASSWORD_CHARS or has_hidden(userid):
            raise InvalidCredentialsError(detail="too long, or a name with hidden characters")
        try:
            ticket = await login(client, userid, password)
        except TfaRequiredError as required:
            return await _second_step(runtime, endpoint_id, userid, required)
        return await _signed_in(runtime, endpoint_id, endpoint, ticket, origin)


def userid_of(user: str, realm: str) -> str:
    """``user@realm``. A name that ends with ``@`` and this realm or a built-in one stays as it is.

    Other realms in the name are ignored: ``ann@example.com`` may be a user name within a realm.
    """
    typed = user.strip()
    name, _, ending = typed.rpartition("@")
    return typed if name and ending in {realm, *BUILT_IN_REALMS} else f"{typed}@{realm}"


async def second_step(runtime: Runtime, token: str) -> SecondStep | None:
    """The second step of the challenge of ``token``; None if it has expired."""
    challenge = await find(runtime, token)
    return SecondStep(challenge.userid, challenge.kinds, token) if challenge else None


async def answer(runtime: Runtime, token: str, kind: str, code: str, origin: Origin) -> SignedIn:
    """The second step of a sign-in. Raises as ``sign_in``, and ``SessionExpiredError`` if the challenge has expired.

    A wrong code can be corrected until the challenge expires. Each attempt counts against the limits.
    """
    challenge = await find(runtime, token)
    if challenge is None:
        raise SessionExpiredError(detail="the challenge is over")
    endpoint = await endpoints.endpoint(runtime, challenge.endpoint_id)
    async with _attempt(runtime, endpoint, challenge.endpoint_id, challenge.userid, origin) as client:
        if kind not in challenge.kinds or len(code) > PASSWORD_CHARS:
            raise InvalidCredentialsError(detail="not a kind that was asked for")
        ticket = await answer_tfa(client, challenge.userid, challenge.challenge, kind, code)
        await forget(runtime, token)
        return await _signed_in(runtime, challenge.endpoint_id, endpoint, ticket, origin)


async def sign_out(runtime: Runtime, session: Session, origin: Origin) -> None:
    """End the session in all its tabs."""
    await sessions.end(runtime, session)
    await _audit(
        runtime,
        "auth.sign_out",
        userid=session.userid,
        endpoint_name=session.endpoint_name,
        origin=origin,
        result=AuditResult.OK,
    )


async def verify(runtime: Runtime, session: Session) -> bool:
    """Whether PVE accepts the session's ticket. Ends the session if it does not.

    Raises ``UnreachableError`` and other ``ProxmoxError``; the session then stays open.
    """
    client = await acting.client(runtime, session)
    try:
        await client.version()
    except SessionExpiredError:
        await sessions.end(runtime, session)
        return False
    return True


@asynccontextmanager
async def _attempt(
    runtime: Runtime, endpoint: Endpoint, endpoint_id: UUID, userid: str, origin: Origin
) -> AsyncIterator[ProxmoxClient]:
    """Count one attempt before it, audit it afterwards, and delay a refusal to a constant time."""
    started_at = time.monotonic()
    await limits.count(runtime, endpoint_id, userid, origin.address)
    try:
        async with _within(endpoint):
            yield runtime.pve.client(endpoint)
    except InvalidCredentialsError as error:
        await _audit(
            runtime,
            "auth.sign_in",
            userid=userid,
            endpoint_name=endpoint.name,
            origin=origin,
            result=AuditResult.REFUSED,
        )
        await asyncio.sleep(_until_refusal_s(time.monotonic() - started_at))
        raise InvalidCredentialsError(detail=error.detail) from None
    except DashboardError as error:
        await _audit(
            runtime,
            "auth.sign_in",
            userid=userid,
            endpoint_name=endpoint.name,
            origin=origin,
            result=AuditResult.FAILED,
            why=str(error),
        )
        raise


@asynccontextmanager
async def _within(endpoint: Endpoint) -> AsyncIterator[None]:
    """Raise ``UnreachableError`` if PVE accepts the connection but does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            yield
    except TimeoutError as error:
        raise UnreachableError(node=endpoint.authority, path=SIGN_IN_PATH, detail="no answer") from error


def _until_refusal_s(elapsed_s: float) -> float:
    """Seconds to the next multiple of the delay, which hides a PVE that is slower for existing users."""
    return REFUSAL_DELAY_S - elapsed_s % REFUSAL_DELAY_S


async def _signed_in(
    runtime: Runtime, endpoint_id: UUID, endpoint: Endpoint, ticket: Ticket, origin: Origin
) -> SignedIn:
    session, cookie_value = await sessions.begin(
        runtime,
        endpoint_id=endpoint_id,
        endpoint_name=endpoint.name,
        ticket=ticket,
        address=origin.address,
        user_agent=origin.user_agent,
    )
    await _audit(
        runtime,
        "auth.sign_in",
        userid=session.userid,
        endpoint_name=endpoint.name,
        origin=origin,
        result=AuditResult.OK,
    )
    await limits.forgive(runtime, endpoint_id, session.userid, origin.address)
    log.info("signed in", userid=session.userid, session=str(session.id), endpoint=endpoint.name)
    return SignedIn(session, cookie_value)


async def _second_step(runtime: Runtime, endpoint_id: UUID, userid: str, required: TfaRequiredError) -> SecondStep:
    kinds = tuple(kind for kind in required.kinds if kind in ANSWERABLE_KINDS)
    token = await keep(runtime, Challenge(endpoint_id, userid, required.challenge, kinds))
    return SecondStep(userid, kinds, token)


async def _audit(
    runtime: Runtime,
    action: str,
    *,
    userid: str,
    endpoint_name: str,
    origin: Origin,
    result: AuditResult,
    why: str = "",
) -> None:
    async with runtime.db.transaction() as tx:
        await tx.audit.append(
            userid=userid,
            action=action,
            result=result,
            endpoint_name=endpoint_name,
            address=origin.address,
            detail={"why": why} if why else {},
        )


RENEWALS_PER_RUN: Final = 200
RENEW_AT_ONCE: Final = 20


async def renew_due(runtime: Runtime) -> int:
    """Renew the tickets past half of their life. Returns the number of sessions checked.

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
        is_valid = await verify(runtime, session)
    except DashboardError as error:
        log.warning("ticket check failed", userid=session.userid, session=str(session.id), why=str(error))
    else:
        log.info("renewal refused", userid=session.userid, session=str(session.id), ended=not is_valid)
