"""Signing in: the password, the second factor, and the limits on trying.

The endpoint is always a registered one. Whatever PVE refuses is one error with one message after one time, so that a
user who exists is not told from one who does not; only a PVE that cannot be reached is told apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import (
    DashboardError,
    InvalidCredentialsError,
    SessionExpiredError,
    TfaRequiredError,
    UnreachableError,
)
from lxc_dashboard.printable import has_hidden
from lxc_dashboard.proxmox.auth import SIGN_IN_PATH, Ticket, answer_tfa, login
from lxc_dashboard.services.auth import acting, challenges, endpoints, limits, sessions
from lxc_dashboard.services.auth.challenges import Challenge
from lxc_dashboard.services.auth.model import Session

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import Endpoint, ProxmoxClient
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

# PVE answers a refusal after 3 s. All of ours take as long, a second more to cover the way there and back.
REFUSAL_TAKES_S: Final = 4.0
# A directory behind a realm may be slow. PVE itself waits 3 s before it refuses.
ANSWER_TAKES_AT_MOST_S: Final = 15.0
USERID_CHARS: Final = 64
PASSWORD_CHARS: Final = 4096
# Every PVE has these two, so that a name which ends with one of them is not meant as a name in another realm.
BUILT_IN_REALMS: Final = ("pam", "pve")
ANSWERABLE_KINDS: Final = ("totp", "recovery", "yubico")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a try comes from, for the limits and the audit."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    session: Session
    cookie_value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondStep:
    """PVE wants a second factor. ``token`` leads back to the challenge, which stays here, for 2 min."""

    userid: str
    kinds: tuple[str, ...]
    token: str = field(default="", repr=False)


async def sign_in(
    runtime: Runtime, endpoint_id: UUID, *, user: str, realm: str, password: str, origin: Origin
) -> SignedIn | SecondStep:
    """The first step.

    Raises ``InvalidCredentialsError`` (whatever PVE refuses), ``RateLimitedError``, ``UnreachableError``, ``TlsError``,
    ``NotFoundError`` (no such endpoint).
    """
    endpoint = await endpoints.endpoint(runtime, endpoint_id)
    userid = userid_of(user, realm)
    async with _tried(runtime, endpoint, endpoint_id, userid, origin) as ask:
        if len(userid) > USERID_CHARS or len(password) > PASSWORD_CHARS or has_hidden(userid):
            raise InvalidCredentialsError(detail="too long, or a name with characters that do not show")
        try:
            ticket = await login(ask, userid, password)
        except TfaRequiredError as asked:
            return await _second_step(runtime, endpoint_id, userid, asked)
        return await _signed_in(runtime, endpoint_id, endpoint, ticket, origin)


def userid_of(user: str, realm: str) -> str:
    """``user`` in ``realm``. Where the name ends with ``@`` and that realm, or one of PVE's own two, it says all by itself.

    Other realms are not looked for in it: ``ann@example.com`` may be a name in one, and ``example.com`` another realm.
    """
    typed = user.strip()
    name, _, ending = typed.rpartition("@")
    return typed if name and ending in {realm, *BUILT_IN_REALMS} else f"{typed}@{realm}"


async def second_step(runtime: Runtime, token: str) -> SecondStep | None:
    """What the challenge of ``token`` asks, None where it is over."""
    challenge = await challenges.find(runtime, token)
    return SecondStep(challenge.userid, challenge.kinds, token) if challenge else None


async def answer(runtime: Runtime, token: str, kind: str, code: str, origin: Origin) -> SignedIn:
    """The second step. Raises as ``sign_in``, and ``SessionExpiredError`` where the challenge is over.

    A wrong code may be mended until the challenge ends; each counts against the limits.
    """
    challenge = await challenges.find(runtime, token)
    if challenge is None:
        raise SessionExpiredError(detail="the challenge is over")
    endpoint = await endpoints.endpoint(runtime, challenge.endpoint_id)
    async with _tried(runtime, endpoint, challenge.endpoint_id, challenge.userid, origin) as ask:
        if kind not in challenge.kinds or len(code) > PASSWORD_CHARS:
            raise InvalidCredentialsError(detail="not a kind that was asked for")
        ticket = await answer_tfa(ask, challenge.userid, challenge.challenge, kind, code)
        await challenges.forget(runtime, token)
        return await _signed_in(runtime, challenge.endpoint_id, endpoint, ticket, origin)


async def sign_out(runtime: Runtime, session: Session, origin: Origin) -> None:
    """Ends the session, in every tab that has it."""
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
    """Whether PVE still takes the session's ticket. Where it does not, the session is ended.

    Raises ``UnreachableError`` and its kin: a PVE that does not answer ends nothing.
    """
    client = await acting.client(runtime, session)
    try:
        await client.version()
    except SessionExpiredError:
        await sessions.end(runtime, session)
        return False
    return True


@asynccontextmanager
async def _tried(
    runtime: Runtime, endpoint: Endpoint, endpoint_id: UUID, userid: str, origin: Origin
) -> AsyncIterator[ProxmoxClient]:
    """Around one try: counted before it, recorded after it, and refused only after the time that a refusal takes."""
    began = time.monotonic()
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
        await asyncio.sleep(_until_refusal_s(time.monotonic() - began))
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
    """Somebody waits for the page: a PVE that takes the connection and says nothing is not reached, either."""
    try:
        async with asyncio.timeout(ANSWER_TAKES_AT_MOST_S):
            yield
    except TimeoutError as error:
        raise UnreachableError(node=endpoint.authority, path=SIGN_IN_PATH, detail="no answer") from error


def _until_refusal_s(elapsed_s: float) -> float:
    """To the next whole multiple: a PVE that is slow for known users tells nothing, either."""
    return REFUSAL_TAKES_S - elapsed_s % REFUSAL_TAKES_S


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


async def _second_step(runtime: Runtime, endpoint_id: UUID, userid: str, asked: TfaRequiredError) -> SecondStep:
    kinds = tuple(kind for kind in asked.kinds if kind in ANSWERABLE_KINDS)
    token = await challenges.keep(runtime, Challenge(endpoint_id, userid, asked.challenge, kinds))
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
