"""Sessions in Redis: who is signed in, for how long, and the end of it.

The browser's cookie holds a random value; its SHA-256 is the key here, so what Redis holds opens no session. Two blobs a
session, both encrypted and bound to that key: who it is, which never changes, and the PVE ticket, which is renewed. The
first one's life is the session's: 2 h from the last use, 12 h from the sign-in at most. The second one is written only
beside the first, in one instant, and ends with it: a session that has ended never gets a ticket back.
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

# By its beginning a browser takes it from this very host over TLS only, and sends it nowhere else.
COOKIE_NAME: Final = "__Host-lxc_dashboard_session"
PLAIN_COOKIE_NAME: Final = "lxc_dashboard_session"
COOKIE_BYTES: Final = 32
COOKIE_CHARS: Final = 43
ENDED_CHANNEL: Final = "auth:ended"
DUE_KEY: Final = "auth:renewals"
ENDED_KEY: Final = "auth:tickets-to-wipe"
RENEW_AGAIN_AFTER_S: Final = 60
LOOKED_AT: Final = 200
RENEWAL_TAKES_AT_MOST_S: Final = 5
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
    """The other one is for a ``PUBLIC_URL`` of plain http alone."""
    return PLAIN_COOKIE_NAME if public_url.startswith("http://") else COOKIE_NAME


def key_of(cookie_value: str) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(cookie_value.encode()).hexdigest()


async def begin(
    runtime: Runtime, *, endpoint_id: UUID, endpoint_name: str, ticket: Ticket, address: str, user_agent: str
) -> tuple[Session, str]:
    """A new session for a user whom PVE has just let in, and its cookie's value."""
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
    lasts_s = (session.ends_at - session.signed_in_at).total_seconds()
    await runtime.bus.add_member(_user_key(endpoint_id, session.userid), session.key, ttl_s=lasts_s)
    await _bound(runtime, session)
    return session, cookie_value


async def find(runtime: Runtime, cookie_value: str, *, used: bool = True) -> Session | None:
    """The session of a cookie, or None where there is none (any more).

    ``used`` counts as a use: it lasts 2 h from now again, and its ticket is renewed past half of its life.
    """
    if len(cookie_value) != COOKIE_CHARS:
        return None
    session = await load(runtime, key_of(cookie_value))
    return session if session is None or not used else await _used(runtime, session)


async def use(runtime: Runtime, key: str) -> None:
    """A use by somebody who asks for nothing, such as who types in a console. A session that has ended stays so."""
    session = await load(runtime, key)
    if session is not None:
        await _used(runtime, session)


async def is_open(runtime: Runtime, key: str) -> bool:
    """Whether the session is still there. No use of it."""
    return await runtime.bus.get(_identity_key(key)) is not None


async def list_of(runtime: Runtime, endpoint_id: UUID, userid: str) -> list[Session]:
    """The user's open sessions, newest first."""
    keys = await runtime.bus.members(_user_key(endpoint_id, userid))
    found = await asyncio.gather(*(load(runtime, key) for key in keys))
    return sorted((session for session in found if session), key=lambda session: session.signed_in_at, reverse=True)


async def open_at(runtime: Runtime, endpoint_id: UUID) -> list[Session]:
    """Open sessions at the endpoint, the freshest tickets first, of the newest ``LOOKED_AT`` of all. No use of them."""
    found = [await load(runtime, key) for key in await runtime.bus.due(DUE_KEY, LOOKED_AT)]
    return [session for session in found if session is not None and session.endpoint_id == endpoint_id]


async def end(runtime: Runtime, session: Session) -> None:
    """Ends it everywhere at once: its ticket is gone, its jobs' copies too (these wait for a sign-in), its pages are told.

    Where PostgreSQL is away, ``renewal`` wipes those copies as soon as it is back.
    """
    await runtime.bus.add_member(ENDED_KEY, str(session.id), ttl_s=ABSOLUTE_LIFETIME.total_seconds())
    await runtime.bus.delete(_identity_key(session.key), _ticket_key(session.key))
    await runtime.bus.remove_member(_user_key(session.endpoint_id, session.userid), session.key)
    await runtime.bus.drop_due(DUE_KEY, session.key)
    await runtime.bus.announce(ENDED_CHANNEL, str(session.id).encode())
    try:
        await wipe_copies(runtime, session.id)
    except ServiceUnavailableError as error:
        log.warning("tickets of jobs not wiped yet", session=str(session.id), why=str(error))


async def wipe_copies(runtime: Runtime, session_id: UUID) -> None:
    """The tickets that an ended session has lent to jobs."""
    async with runtime.db.transaction() as tx:
        await tx.jobs.wipe_tickets_of_session(session_id)
    await runtime.bus.remove_member(ENDED_KEY, str(session_id))


async def end_all(runtime: Runtime, endpoint_id: UUID, userid: str) -> int:
    """Ends all sessions of a user at an endpoint. How many there were."""
    found = await list_of(runtime, endpoint_id, userid)
    for session in found:
        await end(runtime, session)
    return len(found)


async def keep_ticket(runtime: Runtime, session: Session, ticket: str, csrf_token: str) -> Session:
    """Stores a renewed ticket with its session, unless that has ended meanwhile. No use of it: it lasts no longer."""
    renewed = replace(session, ticket=ticket, csrf_token=csrf_token, ticket_issued_at=time.time())
    await _store_ticket(runtime, renewed)
    return renewed


async def load(runtime: Runtime, key: str) -> Session | None:
    """The session of a key, or None. No use of it."""
    sealed_identity, sealed_ticket = await asyncio.gather(
        runtime.bus.get(_identity_key(key)), runtime.bus.get(_ticket_key(key))
    )
    if sealed_identity is None or sealed_ticket is None:
        return None
    try:
        identity = _IDENTITY.decode(_opened(runtime, key, "identity", sealed_identity))
        part = _TICKET.decode(_opened(runtime, key, "ticket", sealed_ticket))
    except (CryptoError, msgspec.DecodeError) as error:
        log.warning("stored session cannot be read", why=str(error))
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
    """With a fresh ticket where it was due and this caller is the one to ask; the others go on with the old one.

    Raises ``InvalidCredentialsError`` (PVE takes the old one no more), ``UnreachableError`` and its kin.
    """
    age_s = time.time() - session.ticket_issued_at
    if not TICKET_RENEW_AFTER_S <= age_s < TICKET_LIFETIME_S:
        return session
    if not await runtime.bus.set_new(f"auth:renewing:{session.key}", b"1", ttl_s=RENEW_AGAIN_AFTER_S):
        return session
    endpoint = await endpoints.endpoint(runtime, session.endpoint_id)
    try:
        async with asyncio.timeout(RENEWAL_TAKES_AT_MOST_S):
            ticket = await login(runtime.pve.client(endpoint), session.userid, session.ticket)
    except TimeoutError as error:
        raise UnreachableError(node=endpoint.authority, path=SIGN_IN_PATH, detail="no answer") from error
    return await keep_ticket(runtime, session, ticket.ticket, ticket.csrf_token)


async def _bound(runtime: Runtime, newest: Session) -> None:
    """End the user's sessions beyond ``SESSIONS_PER_USER``: those that would end first anyway, by their time or for want of use."""
    user_key = _user_key(newest.endpoint_id, newest.userid)
    others = await runtime.bus.members(user_key) - {newest.key}
    if len(others) < SESSIONS_PER_USER:
        return
    lasts_s = await asyncio.gather(*(runtime.bus.lasts_s(_identity_key(key)) for key in others))
    by_end = [key for _, key in sorted(zip(lasts_s, others, strict=True))]
    for key in by_end[: len(others) - SESSIONS_PER_USER + 1]:
        found = await load(runtime, key)
        if found is None:
            await runtime.bus.remove_member(user_key, key)
        else:
            log.warning("session ended for a newer one", userid=found.userid, session=str(found.id))
            await end(runtime, found)


async def _used(runtime: Runtime, session: Session) -> Session:
    session = await _renewed(runtime, session)
    life_s = _life_s(session)
    await asyncio.gather(
        runtime.bus.prolong(_identity_key(session.key), life_s),
        runtime.bus.prolong(_ticket_key(session.key), life_s),
    )
    return session


async def _renewed(runtime: Runtime, session: Session) -> Session:
    try:
        return await renew(runtime, session)
    except DashboardError as error:
        log.warning("ticket not renewed", userid=session.userid, session=str(session.id), why=str(error))
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
