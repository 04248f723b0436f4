"""Sign in to PVE, and authenticate requests with a user's ticket or an API token."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

import httpx
import msgspec
import structlog

from lxc_dashboard.errors import ApiError, AuthError, DashboardError, InvalidCredentialsError, TfaRequiredError
from lxc_dashboard.proxmox.caller import Caller
from lxc_dashboard.proxmox.decoding import decoded, one
from lxc_dashboard.proxmox.schemas import SignIn
from lxc_dashboard.proxmox.schemas.tasks import user_of

log = structlog.get_logger(__name__)

TICKET_LIFETIME_S = 2 * 3600
TICKET_RENEW_AFTER_S = 3600
RENEW_AGAIN_AFTER_S = 60
SIGN_IN_PATH = "/access/ticket"
SUCCESS = 200

OnRenew = Callable[[str, str], Awaitable[None]]
_SIGN_IN = one(SignIn)
_CHALLENGE = re.compile(r"!tfa!([^:]*)")
# Characters that a cookie's value may hold unquoted. A userid may hold others, for example a semicolon.
_COOKIE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A user's sign-in. ``issued_at`` is in epoch seconds of our own clock, which may differ from PVE's."""

    userid: str
    ticket: str = field(repr=False)
    csrf_token: str = field(repr=False)
    issued_at: float
    clustername: str = ""


class TokenAuth(httpx.Auth):
    """Authenticate with an API token: ``tokenid`` is ``user@realm!name``, ``secret`` its uuid."""

    def __init__(self, tokenid: str, secret: str) -> None:
        self.tokenid = tokenid
        self._header = f"PVEAPIToken={tokenid}={secret}"

    @property
    def userid(self) -> str:
        return user_of(self.tokenid)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = self._header
        yield request


class TicketAuth(httpx.Auth):
    """Authenticate with a user's ticket, and with the CSRF token on writes.

    Renews the ticket before a request once it is older than ``TICKET_RENEW_AFTER_S``, one time for all waiting
    requests, with the ticket itself as password. Awaits ``on_renew(ticket, csrf_token)``, so that the owner can store
    both. Tries a failed renewal again after ``RENEW_AGAIN_AFTER_S`` and uses the old ticket until then.
    """

    def __init__(
        self,
        ticket: Ticket,
        on_renew: OnRenew | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ticket = ticket
        self._on_renew = on_renew
        self._clock = clock
        self._renewing = asyncio.Lock()
        self._not_before = 0.0

    @property
    def ticket(self) -> Ticket:
        """The current ticket."""
        return self._ticket

    @property
    def userid(self) -> str:
        return self._ticket.userid

    @property
    def cookie(self) -> str:
        """The Cookie header, for the console's websocket, which does not go through httpx."""
        return f"PVEAuthCookie={quote(self._ticket.ticket, safe=_COOKIE_SAFE)}"

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if self._is_due():
            async with self._renewing:
                if self._is_due():
                    response = yield self._renewal(request)
                    await self._take(response)
        request.headers["Cookie"] = self.cookie
        if request.method != "GET":
            request.headers["CSRFPreventionToken"] = self._ticket.csrf_token
        yield request

    def _is_due(self) -> bool:
        now = self._clock()
        # PVE renews no expired ticket. It answers the request itself with 401.
        return now >= self._not_before and TICKET_RENEW_AFTER_S <= now - self._ticket.issued_at < TICKET_LIFETIME_S

    def _renewal(self, request: httpx.Request) -> httpx.Request:
        return httpx.Request(
            "POST",
            request.url.copy_with(raw_path=f"/api2/json{SIGN_IN_PATH}".encode()),
            content=urlencode({"username": self._ticket.userid, "password": self._ticket.ticket}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            extensions=request.extensions,
        )

    async def _take(self, response: httpx.Response) -> None:
        now = self._clock()
        self._not_before = now + RENEW_AGAIN_AFTER_S
        if response.status_code != SUCCESS:
            log.warning("ticket not renewed", userid=self.userid, status=response.status_code)
            return
        try:
            answer = decoded(response.content, _SIGN_IN)
        except (msgspec.DecodeError, RecursionError) as error:
            log.warning("ticket not renewed", userid=self.userid, reason=str(error))
            return
        if not answer.need_tfa:
            csrf_token = answer.csrf_token or self._ticket.csrf_token
            self._ticket = Ticket(self.userid, answer.ticket, csrf_token, now, self._ticket.clustername)
            await self._notify_owner()

    async def _notify_owner(self) -> None:
        if self._on_renew is None:
            return
        try:
            await self._on_renew(self._ticket.ticket, self._ticket.csrf_token)
        except DashboardError as error:
            # The request can continue with the new ticket. Other holders of the old ticket renew it themselves.
            log.warning("renewed ticket not stored", userid=self.userid, reason=str(error))


async def login(client: Caller, userid: str, password: str) -> Ticket:
    """``POST /access/ticket``: sign in ``user@realm``.

    Raises ``InvalidCredentialsError`` for every refusal, ``TfaRequiredError`` with the challenge for
    :func:`answer_tfa`, ``UnreachableError``, ``TlsError``.
    """
    return await _sign_in(client, {"username": userid, "password": password})


async def answer_tfa(client: Caller, userid: str, challenge: str, kind: str, code: str) -> Ticket:
    """``POST /access/ticket``: answer the second factor. Raises as :func:`login`.

    ``kind`` is totp, recovery, or another one that the challenge names.
    """
    answer = f"{kind}:{''.join(code.split())}"
    return await _sign_in(client, {"username": userid, "password": answer, "tfa-challenge": challenge})


async def _sign_in(client: Caller, form: dict[str, Any]) -> Ticket:
    now = time.time()
    try:
        answer = await client.post(SIGN_IN_PATH, _SIGN_IN, form)
    except AuthError as error:
        raise InvalidCredentialsError(detail=error.detail) from error
    except ApiError as error:
        if error.fields:  # PVE reports an empty or too long user or password as an invalid parameter
            raise InvalidCredentialsError(detail=str(error.fields)) from error
        raise
    if answer.need_tfa:
        raise TfaRequiredError(answer.ticket, challenge_kinds(answer.ticket))
    userid = answer.username or form["username"]
    return Ticket(userid, answer.ticket, answer.csrf_token, now, answer.clustername)


def challenge_kinds(challenge: str) -> tuple[str, ...]:
    """Return the second factors that a challenge accepts, from the JSON in it.

    Falls back to totp and recovery, which every PVE supports.
    """
    match = _CHALLENGE.search(challenge)
    try:
        offered = msgspec.json.decode(unquote(match[1]), type=dict[str, Any]) if match else {}
    except msgspec.DecodeError:
        offered = {}
    kinds = tuple(kind for kind, state in offered.items() if state and state != "unavailable")
    return kinds or ("totp", "recovery")
