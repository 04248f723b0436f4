"""Sessions in Redis: begin, find, use and end.

The cookie holds a random value, and its SHA-256 is the key, so the content of Redis opens no session. A session has two
entries, both encrypted and bound to the key: the identity, which never changes, and the PVE ticket, which is renewed. The
identity lives as long as the session: 2 h from the last use, at most 12 h from the sign-in. The ticket is written only if
the identity exists, in one atomic step, so an ended session never gets a ticket again.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from lxc_dashboard.errors import CryptoError, DashboardError, ServiceUnavailableError, UnreachableError
from lxc_dashboard.proxmox.auth import SIGN_IN_PATH, TICKET_LIFETIME_S, TICKET_RENEW_AFTER_S, Ticket, login
from lxc_dashboard.services.auth import endpoints
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, IDLE_LIFETIME, Session

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

# With this prefix a browser accepts the cookie over TLS only and sends it to this host only.
COOKIE_NAME: Final = "__Host-lxc_dashboard_session"
PLAIN_COOKIE_NAME: Final = "lxc_dashboard_session"
COOKIE_BYTES: Final = 32
COOKIE_CHARS: Final = 43
ENDED_CHANNEL: Final = "auth:ended"
DUE_KEY: Final = "auth:renewals"
ENDED_KEY: Final = "auth:tickets-to-wipe"
RENEW_AGAIN_AFTER_S: Final = 60
NEWEST_CHECKED: Final = 200
RENEWAL_TIMEOUT_S: Final = 5
SESSIONS_PER_USER: Final = 50


class _Identity(msgspec.Struct, frozen=True):
    id: UUID
    endpoint_id: UUID
    endpoint_name: str
    userid: str
    signed_in_at: datetime
    address: str
    user_agent: str


class _TicketPart(msgspec.Struct, frozen=True):
    ticket: str
    csrf_token: str
    issued_at: float


_IDENTITY = msgspec.json.Decoder(_Identity)
_TICKET = msgspec.json.Decoder(_TicketPart)


def cookie_name(public_url: str) -> str:
    """The cookie's name, without the ``__Host-`` prefix if ``PUBLIC_URL`` is plain http."""
    return PLAIN_COOKIE_NAME if public_url.startswith("http://") else COOKIE_NAME


def key_of(cookie_value: str) -> str:
    """The session's key: SHA-256 of the cookie's value, in hex."""
    return hashlib.sha256(cookie_value.encode()).hexdigest()


async def begin(
    runtime: Runtime, *, endpoint_id: UUID, endpoint_name: str, ticket: Ticket, address: str, user_agent: str
) -> tuple[Session, str]:
    """Begin a session with a new ticket. Returns the session and its cookie's value."""
    cookie_value = secrets.token_urlsafe(COOKIE_BYTES)
    session = Session(
        id=UUID(int=uuid7().int),
        endpoint_id=endpoint_id,
        endpoint_name=endpoint_name,
        userid=ticket.userid,
        signed_in_at=datetime.now(UTC),
        address=address,
        user_agent=user_agent[:200],
        ticket=ticket.ticket,
        csrf_token=ticket.csrf_token,
        ticket_issued_at=ticket.issued_at,
        key=key_of(cookie_value),
    )
    identity = _Identity(**{name: getattr(session, name) for name in _Identity.__struct_fields__})
    sealed = _sealed(runtime, session.key, "identity", msgspec.json.encode(identity))
    await runtime.bus.set(_identity_key(session.key), sealed, ttl_s=_life_s(session))
    await _store_ticket(runtime, session)
    max_age_s = (session.ends_at - session.signed_in_at).total_seconds()
    await runtime.bus.add_member(_user_key(endpoint_id, session.userid), session.key, ttl_s=max_age_s)
    await _end_oldest(runtime, session)
    return session, cookie_value


async def find(runtime: Runtime, cookie_value: str, *, used: bool = True) -> Session | None:
    """The session of a cookie, or None.

    With ``used`` the session lasts for another 2 h, and its ticket is renewed after half of its life.
    """
    if len(cookie_value) != COOKIE_CHARS:
        return None
    session = await load(runtime, key_of(cookie_value))
    return session if session is None or not used else await _extend(runtime, session)


async def use(runtime: Runtime, key: str) -> None:
    """Extend a session after use without a request, such as input in a console."""
    session = await load(runtime, key)
    if session is not None:
        await _extend(runtime, session)


async def is_open(runtime: Runtime, key: str) -> bool:
    """Whether the session is open. Does not extend it."""
    return await runtime.bus.get(_identity_key(key)) is not None


async def list_of(runtime: Runtime, endpoint_id: UUID, userid: str) -> list[Session]:
    """The user's open sessions, newest first."""
    keys = await runtime.bus.members(_user_key(endpoint_id, userid))
    loaded = await asyncio.gather(*(load(runtime, key) for key in keys))
    return sorted((session for session in loaded if session), key=lambda session: session.signed_in_at, reverse=True)


async def open_at(runtime: Runtime, endpoint_id: UUID) -> list[Session]:
    """Open sessions at the endpoint among the ``NEWEST_CHECKED`` newest tickets, newest first. Does not extend them."""
    loaded = [await load(runtime, key) for key in await runtime.bus.due(DUE_KEY, NEWEST_CHECKED)]
    return [session for session in loaded if session is not None and session.endpoint_id == endpoint_id]


async def end(runtime: Runtime, session: Session) -> None:
    """End a session: delete its ticket and its jobs' copies of it, and notify its pages. The jobs wait for a sign-in.

    If PostgreSQL does not answer, the renewal by schedule wipes the copies later.
    """
    await runtime.bus.add_member(ENDED_KEY, str(session.id), ttl_s=ABSOLUTE_LIFETIME.total_seconds())
    await runtime.bus.delete(_identity_key(session.key), _ticket_key(session.key))
    await runtime.bus.remove_member(_user_key(session.endpoint_id, session.userid), session.key)
    await runtime.bus.drop_due(DUE_KEY, session.key)
    await runtime.bus.announce(ENDED_CHANNEL, str(session.id).encode())
    try:
        await wipe_copies(runtime, session.id)
    except ServiceUnavailableError as error:
        log.warning("wiping of job tickets delayed", session=str(session.id), why=str(error))


async def wipe_copies(runtime: Runtime, session_id: UUID) -> None:
    """Wipe the copies of an ended session's ticket that its jobs hold."""
    async with runtime.db.transaction() as tx:
        await tx.tickets.wipe_of_session(session_id)
    await runtime.bus.remove_member(ENDED_KEY, str(session_id))


async def end_all(runtime: Runtime, endpoint_id: UUID, userid: str) -> int:
    """End all sessions of a user at an endpoint. Returns their number."""
    open_sessions = await list_of(runtime, endpoint_id, userid)
    for session in open_sessions:
        await end(runtime, session)
    return len(open_sessions)


async def keep_ticket(runtime: Runtime, session: Session, ticket: str, csrf_token: str) -> Session:
    """Store a renewed ticket unless the session has ended since. Does not extend the session."""
    renewed = replace(session, ticket=ticket, csrf_token=csrf_token, ticket_issued_at=time.time())
    await _store_ticket(runtime, renewed)
    return renewed


async def load(runtime: Runtime, key: str) -> Session | None:
    """The session of a key, or None. Does not extend it."""
    sealed_identity, sealed_ticket = await asyncio.gather(
        runtime.bus.get(_identity_key(key)), runtime.bus.get(_ticket_key(key))
    )
    if sealed_identity is None or sealed_ticket is None:
        return None
    try:
        identity = _IDENTITY.decode(_opened(runtime, key, "identity", sealed_identity))
        part = _TICKET.decode(_opened(runtime, key, "ticket", sealed_ticket))
    except (CryptoError, msgspec.DecodeError) as error:
        log.warning("session unreadable", why=str(error))
        return None
    session = Session(
        **{name: getattr(identity, name) for name in _Identity.__struct_fields__},
        ticket=part.ticket,
        csrf_token=part.csrf_token,
        ticket_issued_at=part.issued_at,
        key=key,
    )
    return session if session.ends_at > datetime.now(UTC) else None


async def renew(runtime: Runtime, session: Session) -> Session:
    """The session with a new ticket if that is due. Only one caller at a time renews; others keep the old ticket.

    Raises ``InvalidCredentialsError`` if PVE refuses the old ticket, ``UnreachableError`` and other ``ProxmoxError``.
    """
    age_s = time.time() - session.ticket_issued_at
    if not TICKET_RENEW_AFTER_S <= age_s < TICKET_LIFETIME_S:
        return session
    if not await runtime.bus.set_new(f"auth:renewing:{session.key}", b"1", ttl_s=RENEW_AGAIN_AFTER_S):
        return session
    endpoint = await endpoints.endpoint(runtime, session.endpoint_id)
    try:
        async with asyncio.timeout(RENEWAL_TIMEOUT_S):
            ticket = await login(runtime.pve.client(endpoint), session.userid, session.ticket)
    except TimeoutError as error:
        raise UnreachableError(node=endpoint.authority, path=SIGN_IN_PATH, detail="no answer") from error
    return await keep_ticket(runtime, session, ticket.ticket, ticket.csrf_token)


async def _end_oldest(runtime: Runtime, newest: Session) -> None:
    """End the user's sessions over ``SESSIONS_PER_USER``: those that would expire first."""
    user_key = _user_key(newest.endpoint_id, newest.userid)
    others = await runtime.bus.members(user_key) - {newest.key}
    if len(others) < SESSIONS_PER_USER:
        return
    lasts_s = await asyncio.gather(*(runtime.bus.lasts_s(_identity_key(key)) for key in others))
    by_end = [key for _, key in sorted(zip(lasts_s, others, strict=True))]
    for key in by_end[: len(others) - SESSIONS_PER_USER + 1]:
        session = await load(runtime, key)
        if session is None:
            await runtime.bus.remove_member(user_key, key)
        else:
            log.warning("session limit reached, oldest ended", userid=session.userid, session=str(session.id))
            await end(runtime, session)


async def _extend(runtime: Runtime, session: Session) -> Session:
    session = await _try_renew(runtime, session)
    life_s = _life_s(session)
    await asyncio.gather(
        runtime.bus.prolong(_identity_key(session.key), life_s),
        runtime.bus.prolong(_ticket_key(session.key), life_s),
    )
    return session


async def _try_renew(runtime: Runtime, session: Session) -> Session:
    try:
        return await renew(runtime, session)
    except DashboardError as error:
        log.warning("ticket renewal failed", userid=session.userid, session=str(session.id), why=str(error))
        return session


async def _store_ticket(runtime: Runtime, session: Session) -> None:
    part = _TicketPart(session.ticket, session.csrf_token, session.ticket_issued_at)
    sealed = _sealed(runtime, session.key, "ticket", msgspec.json.encode(part))
    if await runtime.bus.set_with(_ticket_key(session.key), sealed, other=_identity_key(session.key)):
        due_at = session.ticket_issued_at + TICKET_RENEW_AFTER_S
        await runtime.bus.put_due(DUE_KEY, session.key, at=due_at, ttl_s=ABSOLUTE_LIFETIME.total_seconds())


def _life_s(session: Session) -> float:
    remaining_s = (session.ends_at - datetime.now(UTC)).total_seconds()
    return max(min(IDLE_LIFETIME.total_seconds(), remaining_s), 0.001)


def _sealed(runtime: Runtime, key: str, column: str, content: bytes) -> bytes:
    return runtime.keyring.encrypt(content, table="session", column=column, row=key).encode()


def _opened(runtime: Runtime, key: str, column: str, sealed: bytes) -> bytes:
    return runtime.keyring.decrypt(sealed.decode(), table="session", column=column, row=key)


def _identity_key(key: str) -> str:
    return f"auth:session:{key}"


def _ticket_key(key: str) -> str:
    return f"auth:ticket:{key}"


def _user_key(endpoint_id: UUID, userid: str) -> str:
    return f"auth:user:{endpoint_id}:{userid}"
