"""What every request and every websocket passes before anything of ours or of Reflex's sees it.

- A websocket, and every request that may change something, must come from a page of this very site.
- A webhook (``routes.WEBHOOKS``) comes from no page and has no session: it proves itself by its signature. One that a foreign
  page sends is refused as well.
- The API for programs (``routes.API_V1``) comes from no page either: each request brings a PVE API token, and no cookie counts.
- Whatever is not in ``PUBLIC`` needs a session: a page leads to the sign-in page, everything else answers 401. So a new
  route is closed until it is named here.
- What is sent is taken at the pace of ``flow``: a body that does not come is given up, a socket that floods waits.
- What one session or token holds at a time is bounded by ``shares``.
- Every answer carries the security headers. An error of ours becomes its status and its ``user_message``, with a
  reference that stands in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lxc_dashboard import routes, text
from lxc_dashboard.api.away_page import away_page
from lxc_dashboard.api.middleware import headers as security
from lxc_dashboard.api.middleware import pace as flow
from lxc_dashboard.api.middleware.address import Trust, client_address, headers_of, is_https, is_own_origin, refusal_of
from lxc_dashboard.api.middleware.limits import Shares
from lxc_dashboard.api.v1 import answers
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    PrivilegeError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionExpiredError,
    TooManyAtOnceError,
)
from lxc_dashboard.services.auth import sessions, tokens
from lxc_dashboard.services.auth.sign_in import Origin
from lxc_dashboard.state.base import reference
from lxc_dashboard.state.guard import Caller, cookie_of
from lxc_dashboard.state.process import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.state.process import WebProcess

log = structlog.get_logger(__name__)

PUBLIC: Final = frozenset(
    {routes.SIGN_IN, routes.SIGN_OUT, routes.REALMS, routes.LIVE, routes.READY, routes.API_DOCUMENT}
)
PUBLIC_FOLDERS: Final = ("/assets/", "/external/")
PUBLIC_FILES: Final = frozenset(
    {
        "/dashboard.css",
        "/live.css",
        "/editor.css",
        "/templates.css",
        "/buckets.css",
        "/sources.css",
        "/theme.js",
        "/sign-in.js",
        "/favicon.svg",
        "/favicon.ico",
    }
)
# What an open page asks for by itself, however long nobody is there: it does not keep the session open. Events say so each,
# and of a console what is typed.
UNATTENDED: Final = re.compile(
    rf"/_event\b.*|{routes.CONSOLE_SOCKET}/.*|{routes.FEED}|{routes.NODES_FEED}|{routes.READY}|{routes.LIVE}|{routes.SESSION}"
    rf"|{routes.CREATIONS}/[^/]+/(events|log|log/phases|log/search)"
)
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CALLER: Final = "lxc_dashboard.caller"
POLICY_VIOLATION: Final = 1008
STATUSES: Final[tuple[tuple[type[DashboardError], int], ...]] = (
    (SessionExpiredError, 401),
    (PrivilegeError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (InvalidInputError, 422),
    (RateLimitedError, 429),
    (ServiceUnavailableError, 503),
)


def caller_of(request: Request) -> Caller:
    """Runtime and session of a request, for a route of ours. ``session`` is None only on a path of ``PUBLIC``."""
    found: Caller = request.scope[CALLER]
    return found


def asked_for(request: Request, name: str) -> tuple[Runtime, Session, UUID]:
    """Who asks, and the id that the path has under ``name``. Raises ``NotFoundError`` where it is none."""
    caller = caller_of(request)
    if caller.session is None:
        raise SessionExpiredError
    try:
        wanted = UUID(request.path_params[name])
    except ValueError:
        raise NotFoundError from None
    return caller.runtime, caller.session, wanted


def origin_of(request: Request, trust: Trust) -> Origin:
    """Where a request comes from, for limits and audit."""
    headers = headers_of(request.scope)
    return Origin(client_address(request.scope, headers, trust), headers.get("user-agent", ""))


def trust_of(process: WebProcess) -> Trust:
    settings = process.runtime.settings
    return Trust.of(settings.TRUSTED_PROXIES, settings.PUBLIC_URL)


def accepts_origin(process: WebProcess) -> Callable[[str | None, Mapping[str, str]], bool]:
    """The same rule for the websocket server, which asks once more by itself: origin and WSGI environ."""

    def accepts(origin: str | None, environ: Mapping[str, str]) -> bool:
        return is_own_origin(origin or "", {"host": environ.get("HTTP_HOST", "")}, trust_of(process))

    return accepts


class Door:
    """The outermost ASGI layer of the product. ``scripts`` are the CSP hashes of the build's own inline scripts."""

    def __init__(self, app: ASGIApp, process: WebProcess, scripts: tuple[str, ...]) -> None:
        self._app = app
        self._process = process
        self._scripts = scripts
        self._allowances = flow.Allowances()
        self._shares = Shares()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        if scope["type"] == "websocket":
            await self._websocket(scope, headers, receive, send)
            return
        secured = self._secured(scope, headers, send)
        receive = flow.patient(receive, whole_s=flow.OPEN_BODY_S if is_open(scope["path"]) else None)
        try:
            await self._http(scope, headers, receive, secured)
        except DashboardError as error:
            answer = answers.refusal(error) if is_api(scope["path"]) else _refusal(error, scope, headers)
            await answer(scope, receive, secured)
        except ClientDisconnect:
            await _error(408, text.BODY_TOO_SLOW)(scope, receive, secured)

    async def _http(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        path = scope["path"]
        if is_api(path):
            await self._by_token(scope, headers, receive, send)
            return
        if scope["method"] not in SAFE_METHODS and not self._comes_from_us(path, headers):
            log.warning("request of another origin refused", path=path, origin=headers.get("origin", "")[:200])
            await _error(403, refusal_of(self._trust()))(scope, receive, send)
            return
        if is_public_file(path) and scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        session = await sessions.find(self._process.runtime, self._cookie(headers), used=not is_unattended(path))
        if session is None and not (is_open(path) and (path in PUBLIC or scope["method"] == "POST")):
            await _to_sign_in(scope, headers)(scope, receive, send)
            return
        await self._answer(scope, session, receive, send)

    async def _by_token(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """A foreign page can send no token that it does not know, so any origin will do."""
        session = None
        if scope["path"] not in PUBLIC:
            endpoint = Request(scope).query_params.get("endpoint", "")
            origin = Origin(client_address(scope, headers, self._trust()), headers.get("user-agent", ""))
            session = await tokens.session_of(self._process.runtime, headers.get("authorization", ""), endpoint, origin)
        await self._answer(scope, session, receive, send)

    async def _answer(self, scope: Scope, session: Session | None, receive: Receive, send: Send) -> None:
        scope[CALLER] = Caller(self._process, session)
        async with self._shares.request(scope["path"], session.id if session else None):
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        try:
            ours = is_own_origin(headers.get("origin", ""), headers, self._trust())
            used = not is_unattended(scope["path"])
            session = await sessions.find(self._process.runtime, self._cookie(headers), used=used) if ours else None
        except DashboardError as error:
            log.warning("websocket refused", why=str(error))
            session = None
        if session is None:
            await _close(receive, send)
            return
        scope[CALLER] = Caller(self._process, session)
        binary = scope["path"].startswith(f"{routes.CONSOLE_SOCKET}/")
        allowance = self._allowances.of(session.id)
        if not binary:  # a console holds back what its browser does not read yet
            receive, send = flow.read_in_time(receive, send)
        paced = flow.paced(receive, allowance, most_bytes=MAX_EVENT_BYTES, binary=binary)
        try:
            async with self._shares.socket(session):
                await self._app(scope, paced, send)
        except TooManyAtOnceError as error:
            log.warning("websocket refused", why=str(error))
            await _close(receive, send)

    def _comes_from_us(self, path: str, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin", "")
        return is_own_origin(origin, headers, self._trust()) or (is_webhook(path) and not origin)

    def _cookie(self, headers: Mapping[str, str]) -> str:
        return cookie_of(headers.get("cookie", ""), sessions.cookie_name(self._trust().public_url))

    def _trust(self) -> Trust:
        return trust_of(self._process)

    def _secured(self, scope: Scope, headers: Mapping[str, str], send: Send) -> Send:
        https = is_https(scope, headers, self._trust()) if self._process.is_open else False
        fixed = security.security_headers(self._scripts, headers.get("host", ""), https=https)
        caching = security.IMMUTABLE if scope["path"].startswith("/assets/") else "no-cache"

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, {**fixed, "Cache-Control": caching})
            await send(message)

        return secured


def is_api(path: str) -> bool:
    return path.startswith(f"{routes.API_V1}/")


def is_webhook(path: str) -> bool:
    return path.startswith(f"{routes.WEBHOOKS}/")


def is_unattended(path: str) -> bool:
    """Whether no use of the session is meant by asking for it."""
    return UNATTENDED.fullmatch(path) is not None


def is_open(path: str) -> bool:
    """Whether somebody without a session may ask."""
    return path in PUBLIC or is_webhook(path)


def is_public_file(path: str) -> bool:
    """A file of the bundle: the same for everybody, and without a word of PVE."""
    return path in PUBLIC_FILES or (path.startswith(PUBLIC_FOLDERS) and "/." not in path)


async def _close(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})


def _add(message: MutableMapping[str, Any], wanted: Mapping[str, str]) -> None:
    """Each header, unless the route has set it: an answer that holds secrets says no-store itself."""
    present = MutableHeaders(scope=message)
    for name, value in wanted.items():
        present.setdefault(name, value)


def _to_sign_in(scope: Scope, headers: Mapping[str, str]) -> Response:
    if scope["method"] in {"GET", "HEAD"} and _wants_page(scope["path"], headers.get("accept", "*/*")):
        query = scope.get("query_string", b"").decode("latin-1")
        address = f"{scope['path']}?{query}" if query else scope["path"]
        return RedirectResponse(routes.sign_in(address), status_code=303, headers={"Cache-Control": "no-store"})
    return _error(401, SessionExpiredError.default_message)


def _wants_page(path: str, accept: str) -> bool:
    """A browser that goes to a page, or a plain client that takes whatever there is."""
    return "text/html" in accept or ("*/*" in accept and not path.startswith(("/api/", "/_")))


def _refusal(error: DashboardError, scope: Scope, headers: Mapping[str, str]) -> Response:
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 502)
    shown = reference()
    log.warning("request failed", reference=shown, status=status, error=type(error).__name__, why=str(error))
    is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if isinstance(error, ServiceUnavailableError) and is_page:
        return away_page(error.user_message, shown)
    return _error(status, error.user_message, shown)


def _error(status: int, message: str, shown: str = "") -> Response:
    content = {"error": message, **({"reference": shown} if shown else {})}
    return JSONResponse(content, status_code=status, headers={"Cache-Control": "no-store"})
