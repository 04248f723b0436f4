"""Who acts: a user's ticket or an API token, as httpx auth flows; and how a ticket is got."""

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
# What a cookie's value may hold as it is. A user id may hold more, a semicolon for one.
_COOKIE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Ticket:
    """``issued_at`` is epoch seconds of our own clock, which need not agree with PVE's."""

    userid: str
    ticket: str = field(repr=False)
    csrf_token: str = field(repr=False)
    issued_at: float
    clustername: str = ""


class TokenAuth(httpx.Auth):
    """An API token: ``tokenid`` is ``user@realm!name``, ``secret`` its uuid."""

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
    """A user's ticket, with the CSRF token on writes.

    Past half its life the ticket is renewed before the next request, once however many requests wait, with the ticket
    itself as password. ``on_renew(ticket, csrf_token)`` is awaited so that the owner can store both. A renewal that
    fails is tried again a minute later, and the old ticket serves meanwhile.
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
        """The one in use now."""
        return self._ticket

    @property
    def userid(self) -> str:
        return self._ticket.userid

    @property
    def cookie(self) -> str:
        """The Cookie header, for what does not go through httpx: the console's websocket."""
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
        # A ticket past its end renews nothing any more: PVE's 401 to the request itself says so.
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
            log.warning("ticket not renewed", userid=self.userid, why=str(error))
            return
        if not answer.need_tfa:
            csrf_token = answer.csrf_token or self._ticket.csrf_token
            self._ticket = Ticket(self.userid, answer.ticket, csrf_token, now, self._ticket.clustername)
            await self._tell_owner()

    async def _tell_owner(self) -> None:
        if self._on_renew is None:
            return
        try:
            await self._on_renew(self._ticket.ticket, self._ticket.csrf_token)
        except DashboardError as error:
            # The request can go on: the new ticket is in use here, and whoever holds the old one renews it himself.
            log.warning("renewed ticket not stored", userid=self.userid, why=str(error))


async def login(client: Caller, userid: str, password: str) -> Ticket:
    """``POST /access/ticket`` for ``user@realm``.

    Raises InvalidCredentialsError (one error for whatever PVE refuses), TfaRequiredError with the challenge for
    :func:`answer_tfa`, UnreachableError, TlsError.
    """
    return await _sign_in(client, {"username": userid, "password": password})


async def answer_tfa(client: Caller, userid: str, challenge: str, kind: str, code: str) -> Ticket:
    """The second step. ``kind`` is totp or recovery (or another that the challenge names). Raises as :func:`login`."""
    answer = f"{kind}:{''.join(code.split())}"
    return await _sign_in(client, {"username": userid, "password": answer, "tfa-challenge": challenge})


async def _sign_in(client: Caller, form: dict[str, Any]) -> Ticket:
    now = time.time()
    try:
        answer = await client.post(SIGN_IN_PATH, _SIGN_IN, form)
    except AuthError as error:
        raise InvalidCredentialsError(detail=error.detail) from error
    except ApiError as error:
        if error.fields:  # an empty or overlong user or password: PVE calls it a wrong parameter
            raise InvalidCredentialsError(detail=str(error.fields)) from error
        raise
    if answer.need_tfa:
        raise TfaRequiredError(answer.ticket, challenge_kinds(answer.ticket))
    userid = answer.username or form["username"]
    return Ticket(userid, answer.ticket, answer.csrf_token, now, answer.clustername)


def challenge_kinds(challenge: str) -> tuple[str, ...]:
    """What a challenge takes, from the JSON within it. Where that cannot be read, what every PVE knows."""
    found = _CHALLENGE.search(challenge)
    try:
        offered = msgspec.json.decode(unquote(found[1]), type=dict[str, Any]) if found else {}
    except msgspec.DecodeError:
        offered = {}
    kinds = tuple(kind for kind, state in offered.items() if state and state != "unavailable")
    return kinds or ("totp", "recovery")
