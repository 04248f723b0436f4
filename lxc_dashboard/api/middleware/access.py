"""The outermost ASGI layer: decides who may call a route or open a websocket.

- A websocket, and every request that may change something, must come from a page of this site.
- A webhook (``routes.WEBHOOKS``) has no session: a signature proves the sender. A page of another site may not send it.
- The HTTP API (``routes.API_V1``) takes a PVE API token in each request. Cookies do not count there.
- Every path that is not in ``PUBLIC`` needs a session: pages redirect to sign-in, other requests get 401.
- ``limits`` bounds how fast a client sends, and how much a session or token holds at a time.
- Every response carries the security headers. A ``DashboardError`` becomes its status, its ``user_message`` and a
  reference that is also in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware import limits
from lxc_dashboard.api.middleware.address import (
    Trust,
    client_address,
    foreign_origin_message,
    headers_of,
    is_https,
    is_own_origin,
)
from lxc_dashboard.api.middleware.headers import IMMUTABLE, NO_STORE, security_headers
from lxc_dashboard.api.middleware.limits import Limits
from lxc_dashboard.api.request import CALLER, trust_of
from lxc_dashboard.api.sign_in_page import unavailable_page
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
# Requests that an open page sends by itself. They do not count as use of the session.
# Events on the websocket, and input of a console, count separately.
UNATTENDED: Final = re.compile(
    rf"/_event\b.*|{routes.CONSOLE_SOCKET}/.*|{routes.FEED}|{routes.NODES_FEED}|{routes.READY}|{routes.LIVE}|{routes.SESSION}"
    rf"|{routes.CREATIONS}/[^/]+/(events|log|log/phases|log/search)"
)
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
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


def accepts_origin(process: WebProcess) -> Callable[[str | None, Mapping[str, str]], bool]:
    """The origin check for Reflex's websocket server: takes the origin and the WSGI environ."""

    def accepts(origin: str | None, environ: Mapping[str, str]) -> bool:
        return is_own_origin(origin or "", {"host": environ.get("HTTP_HOST", "")}, trust_of(process))

    return accepts


class AccessMiddleware:
    """``scripts``: the CSP hashes of the built pages' inline scripts."""

    def __init__(self, app: ASGIApp, process: WebProcess, scripts: tuple[str, ...]) -> None:
        self._app = app
        self._process = process
        self._scripts = scripts
        self._allowances = limits.Allowances()
        self._limits = Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        if scope["type"] == "websocket":
            await self._websocket(scope, headers, receive, send)
            return
        send_with_headers = self._with_headers(scope, headers, send)
        receive = limits.limit_body_time(receive, whole_s=limits.PUBLIC_BODY_S if is_public(scope["path"]) else None)
        try:
            await self._http(scope, headers, receive, send_with_headers)
        except DashboardError as error:
            response = answers.refusal(error) if is_api(scope["path"]) else _error_response(error, scope, headers)
            await response(scope, receive, send_with_headers)
        except ClientDisconnect:
            await _error(408, text.BODY_TOO_SLOW)(scope, receive, send_with_headers)

    async def _http(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        path = scope["path"]
        if is_api(path):
            await self._by_token(scope, headers, receive, send)
            return
        if scope["method"] not in SAFE_METHODS and not self._is_from_this_site(path, headers):
            log.warning("foreign origin refused", path=path, origin=headers.get("origin", "")[:200])
            await _error(403, foreign_origin_message(self._trust()))(scope, receive, send)
            return
        if is_public_file(path) and scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        session = await sessions.find(self._process.runtime, self._cookie(headers), used=not is_unattended(path))
        if session is None and not (is_public(path) and (path in PUBLIC or scope["method"] == "POST")):
            await _to_sign_in(scope, headers)(scope, receive, send)
            return
        await self._run(scope, session, receive, send)

    async def _by_token(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Accept any origin, because a page of another site does not know the token."""
        session = None
        if scope["path"] not in PUBLIC:
            endpoint = Request(scope).query_params.get("endpoint", "")
            origin = Origin(client_address(scope, headers, self._trust()), headers.get("user-agent", ""))
            session = await tokens.session_of(self._process.runtime, headers.get("authorization", ""), endpoint, origin)
        await self._run(scope, session, receive, send)

    async def _run(self, scope: Scope, session: Session | None, receive: Receive, send: Send) -> None:
        scope[CALLER] = Caller(self._process, session)
        async with self._limits.request(scope["path"], session.id if session else None):
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        try:
            is_own = is_own_origin(headers.get("origin", ""), headers, self._trust())
            used = not is_unattended(scope["path"])
            session = await sessions.find(self._process.runtime, self._cookie(headers), used=used) if is_own else None
        except DashboardError as error:
            log.warning("websocket refused", why=str(error))
            session = None
        if session is None:
            await _close(receive, send)
            return
        scope[CALLER] = Caller(self._process, session)
        binary = scope["path"].startswith(f"{routes.CONSOLE_SOCKET}/")
        allowance = self._allowances.of(session.id)
        if not binary:  # a console stops reading from the guest while its browser is slow
            receive, send = limits.limit_unread(receive, send)
        paced = limits.limit_rate(receive, allowance, max_bytes=MAX_EVENT_BYTES, binary=binary)
        try:
            async with self._limits.socket(session):
                await self._app(scope, paced, send)
        except TooManyAtOnceError as error:
            log.warning("websocket refused", why=str(error))
            await _close(receive, send)

    def _is_from_this_site(self, path: str, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin", "")
        return is_own_origin(origin, headers, self._trust()) or (is_webhook(path) and not origin)

    def _cookie(self, headers: Mapping[str, str]) -> str:
        return cookie_of(headers.get("cookie", ""), sessions.cookie_name(self._trust().public_url))

    def _trust(self) -> Trust:
        return trust_of(self._process)

    def _with_headers(self, scope: Scope, headers: Mapping[str, str], send: Send) -> Send:
        https = is_https(scope, headers, self._trust()) if self._process.is_open else False
        fixed = security_headers(self._scripts, headers.get("host", ""), https=https)
        caching = IMMUTABLE if scope["path"].startswith("/assets/") else "no-cache"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, {**fixed, "Cache-Control": caching})
            await send(message)

        return send_with_headers


def is_api(path: str) -> bool:
    return path.startswith(f"{routes.API_V1}/")


def is_webhook(path: str) -> bool:
    return path.startswith(f"{routes.WEBHOOKS}/")


def is_unattended(path: str) -> bool:
    """Whether a request for ``path`` does not count as use of the session."""
    return UNATTENDED.fullmatch(path) is not None


def is_public(path: str) -> bool:
    """Whether ``path`` needs no session."""
    return path in PUBLIC or is_webhook(path)


def is_public_file(path: str) -> bool:
    """Whether ``path`` is a static file of the build, which contains no data of PVE."""
    return path in PUBLIC_FILES or (path.startswith(PUBLIC_FOLDERS) and "/." not in path)


async def _close(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})


def _add_headers(message: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
    """Set each header that the route has not set itself, such as no-store on secrets."""
    present = MutableHeaders(scope=message)
    for name, value in headers.items():
        present.setdefault(name, value)


def _to_sign_in(scope: Scope, headers: Mapping[str, str]) -> Response:
    if scope["method"] in {"GET", "HEAD"} and _wants_page(scope["path"], headers.get("accept", "*/*")):
        query = scope.get("query_string", b"").decode("latin-1")
        address = f"{scope['path']}?{query}" if query else scope["path"]
        return RedirectResponse(routes.sign_in(address), status_code=303, headers=NO_STORE)
    return _error(401, SessionExpiredError().user_message)


def _wants_page(path: str, accept: str) -> bool:
    """Whether a browser navigates to a page, or a plain client accepts any type."""
    return "text/html" in accept or ("*/*" in accept and not path.startswith(("/api/", "/_")))


def _error_response(error: DashboardError, scope: Scope, headers: Mapping[str, str]) -> Response:
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 502)
    reference_id = reference()
    log.warning("request failed", reference=reference_id, status=status, error=type(error).__name__, why=str(error))
    is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if isinstance(error, ServiceUnavailableError) and is_page:
        return unavailable_page(error.user_message, reference_id)
    return _error(status, error.user_message, reference_id)


def _error(status: int, message: str, reference_id: str = "") -> Response:
    content = {"error": message, **({"reference": reference_id} if reference_id else {})}
    return JSONResponse(content, status_code=status, headers=NO_STORE)
