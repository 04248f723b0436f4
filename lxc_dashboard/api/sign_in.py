"""Signing in and out: plain HTTP, since the websocket's handshake already carries the cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lxc_dashboard import routes, text
from lxc_dashboard.api import sign_in_page as page
from lxc_dashboard.api.middleware.access import caller_of, origin_of, trust_of
from lxc_dashboard.api.middleware.address import headers_of, keeps_cookie, wants_secure
from lxc_dashboard.api.sign_in_page import Filled, Told
from lxc_dashboard.errors import (
    DashboardError,
    InvalidCredentialsError,
    InvalidInputError,
    NotFoundError,
    ProxmoxError,
    RateLimitedError,
    SessionExpiredError,
    TlsError,
    UnreachableError,
)
from lxc_dashboard.services.auth import challenges, endpoints, realms, sessions, sign_in
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.auth.realms import Realm
from lxc_dashboard.services.auth.sign_in import SecondStep, SignedIn
from lxc_dashboard.services.creation import service as creations
from lxc_dashboard.state.base import reference

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

STEP_COOKIE: Final = "lxc_dashboard_step"
FORM_BYTES: Final = 16 * 1024
NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A failed try: what to tell, and the status of the page that tells it."""

    message: str
    status: int


def sign_in_routes() -> list[Route]:
    return [
        Route(routes.SIGN_IN, show, methods=["GET"]),
        Route(routes.SIGN_IN, submit, methods=["POST"]),
        Route(routes.SIGN_OUT, leave, methods=["POST"]),
        Route(routes.REALMS, list_realms, methods=["GET"]),
    ]


async def show(request: Request) -> Response:
    """The second step where a challenge is open, else the first one. Who is signed in goes on, unless he asks ``again``."""
    next_path = routes.safe_next(request.query_params.get("next", routes.DASHBOARD))
    caller = caller_of(request)
    if "again" in request.query_params:
        filled = _again(caller.session, request.query_params.get("endpoint", ""), next_path)
        response = await _password_page(request, filled, Told())
        _drop_cookie(request, response, STEP_COOKIE, routes.SIGN_IN)
        return response
    step = await sign_in.second_step(caller.runtime, request.cookies.get(STEP_COOKIE, ""))
    if step is not None:
        return _html(page.second_step_page(step, next_path, Told()))
    if caller.session is not None:
        return RedirectResponse(next_path, status_code=303, headers=NO_STORE)
    return await _password_page(request, Filled(next_path=next_path), Told())


def _again(session: Session | None, endpoint_id: str, next_path: str) -> Filled:
    """The form for who is signed in already: as the same user, but for the password; at another endpoint as whoever he is there."""
    if session is None or endpoint_id not in {"", str(session.endpoint_id)}:
        return Filled(endpoint_id, next_path=next_path)
    user, _, realm = session.userid.rpartition("@")
    return Filled(str(session.endpoint_id), user, realm, next_path)


async def submit(request: Request) -> Response:
    """Either step of the form. A failure shows the form again with everything but the password."""
    form = await _form(request)
    if "code" in form:
        return await _answer(request, form)
    filled = Filled(
        form.get("endpoint", ""), form.get("user", ""), form.get("realm", ""), routes.safe_next(form.get("next", ""))
    )
    missing = {"user": text.USER_MISSING, "password": text.PASSWORD_MISSING}
    empty = {name: message for name, message in missing.items() if not form.get(name, "").strip()}
    if empty:
        return await _password_page(request, filled, Told(fields=empty), 422)
    runtime = caller_of(request).runtime
    try:
        result = await sign_in.sign_in(
            runtime,
            _uuid(filled.endpoint_id),
            user=filled.user,
            realm=filled.realm,
            password=form["password"],
            origin=origin_of(request, trust_of(caller_of(request).process)),
        )
    except DashboardError as error:
        outcome = _outcome(error)
        return await _password_page(request, filled, Told(outcome.message), outcome.status)
    if isinstance(result, SecondStep):
        return _to_second_step(request, result, filled.next_path)
    return await _enter(request, result, filled.next_path)


async def leave(request: Request) -> Response:
    """Ends the session, in every tab that has it."""
    caller = caller_of(request)
    if caller.session is not None:
        await sign_in.sign_out(caller.runtime, caller.session, origin_of(request, trust_of(caller.process)))
    response = RedirectResponse(routes.SIGN_IN, status_code=303, headers=NO_STORE)
    _drop_cookie(request, response, _session_cookie(request), "/")
    return response


async def list_realms(request: Request) -> Response:
    """The realms of a registered endpoint: ``{"realms": [{"name", "comment"}]}``, none where they cannot be read."""
    try:
        found = await realms.realms(caller_of(request).runtime, _uuid(request.query_params.get("endpoint", "")))
    except (NotFoundError, ProxmoxError):
        found = []
    listed = [{"name": realm.name, "comment": realm.comment} for realm in found]
    return JSONResponse({"realms": listed}, headers=NO_STORE)


async def _answer(request: Request, form: dict[str, str]) -> Response:
    runtime = caller_of(request).runtime
    token = request.cookies.get(STEP_COOKIE, "")
    next_path = routes.safe_next(form.get("next", ""))
    step = await sign_in.second_step(runtime, token)
    if step is None:
        return await _password_page(request, Filled(next_path=next_path), Told(text.TFA_EXPIRED), 401)
    code = form["code"].strip()
    if not code:
        return _html(page.second_step_page(step, next_path, Told(fields={"code": text.CODE_MISSING})), 422)
    origin = origin_of(request, trust_of(caller_of(request).process))
    try:
        result = await sign_in.answer(runtime, token, form.get("kind", ""), code, origin)
    except SessionExpiredError:
        return await _password_page(request, Filled(next_path=next_path), Told(text.TFA_EXPIRED), 401)
    except DashboardError as error:
        outcome = _outcome(error)
        return _html(page.second_step_page(step, next_path, Told(outcome.message)), outcome.status)
    return await _enter(request, result, next_path)


async def _enter(request: Request, result: SignedIn, next_path: str) -> Response:
    caller = caller_of(request)
    await creations.resume_after_sign_in(caller.runtime, result.session)
    if caller.session is not None:
        await sessions.end(caller.runtime, caller.session)
    response = RedirectResponse(next_path, status_code=303, headers=NO_STORE)
    lasts_s = int(ABSOLUTE_LIFETIME.total_seconds())
    _set_cookie(request, response, _session_cookie(request), result.cookie_value, path="/", lasts_s=lasts_s)
    _drop_cookie(request, response, STEP_COOKIE, routes.SIGN_IN)
    return response


def _to_second_step(request: Request, step: SecondStep, next_path: str) -> Response:
    query = routes.sign_in(next_path)
    response = RedirectResponse(query, status_code=303, headers=NO_STORE)
    _set_cookie(request, response, STEP_COOKIE, step.token, path=routes.SIGN_IN, lasts_s=challenges.LIFETIME_S)
    return response


async def _password_page(request: Request, filled: Filled, told: Told, status: int = 200) -> Response:
    runtime = caller_of(request).runtime
    choices = await endpoints.choices(runtime)
    chosen = next((choice for choice in choices if str(choice.id) == filled.endpoint_id), None) or next(
        iter(choices), None
    )
    notes: list[str] = []
    session = caller_of(request).session
    if session is not None and chosen is not None and chosen.id != session.endpoint_id:
        notes.append(text.SIGN_IN_ELSEWHERE.format(userid=session.userid, endpoint=session.endpoint_name))
    offered: list[Realm] | tuple[Realm, ...] = page.USUAL_REALMS
    if chosen is not None:
        offered, note = await _realms(runtime, chosen)
        notes.extend([note] if note else [])
    if not _keeps_cookie(request):
        notes.append(text.NEEDS_TLS)
    if runtime.settings.SANDBOX:
        notes.append(text.SANDBOX_NOTE)
    return _html(page.password_page(choices, offered, filled, Told(told.error, told.fields, tuple(notes))), status)


async def _realms(runtime: Runtime, chosen: endpoints.Choice) -> tuple[list[Realm] | tuple[Realm, ...], str]:
    """The endpoint's realms, or the usual ones and why."""
    try:
        return await realms.realms(runtime, chosen.id) or page.USUAL_REALMS, ""
    except DashboardError as error:
        reason = _outcome(error).message
    return page.USUAL_REALMS, text.REALMS_UNKNOWN.format(endpoint=chosen.name, reason=reason)


def _outcome(error: DashboardError) -> _Outcome:
    """What somebody who is not signed in may know of it. Re-raises what is no matter of signing in."""
    if isinstance(error, InvalidCredentialsError):
        return _Outcome(InvalidCredentialsError.default_message, 401)
    if isinstance(error, RateLimitedError):
        return _Outcome(error.user_message, 429)
    if isinstance(error, TlsError):
        return _Outcome(TlsError.default_message, 502)
    if isinstance(error, (UnreachableError, NotFoundError)):
        return _Outcome(UnreachableError.default_message, 502)
    if isinstance(error, ProxmoxError):
        shown = reference()
        log.warning("PVE failed at a sign-in", reference=shown, why=str(error))
        return _Outcome(text.PVE_FAILED.format(reference=shown), 502)
    raise error


def _session_cookie(request: Request) -> str:
    return sessions.cookie_name(trust_of(caller_of(request).process).public_url)


def _set_cookie(request: Request, response: Response, name: str, value: str, *, path: str, lasts_s: int) -> None:
    """For this site alone, over TLS, and for no script."""
    secure = wants_secure(trust_of(caller_of(request).process).public_url)
    response.set_cookie(name, value, max_age=lasts_s, path=path, httponly=True, samesite="lax", secure=secure)


def _drop_cookie(request: Request, response: Response, name: str, path: str) -> None:
    """With the flags that it was set with: a browser lets nothing less replace a cookie for TLS."""
    _set_cookie(request, response, name, "", path=path, lasts_s=0)


def _keeps_cookie(request: Request) -> bool:
    return keeps_cookie(request.scope, headers_of(request.scope), trust_of(caller_of(request).process))


def _html(content: str, status: int = 200) -> Response:
    return HTMLResponse(content, status_code=status, headers=NO_STORE)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError("This endpoint is not registered") from None


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small urlencoded form. Raises ``InvalidInputError`` for a large or unreadable one."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise InvalidInputError({"form": "too long"})
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=32)
    except ValueError as error:
        raise InvalidInputError({"form": "not a form"}) from error
    return dict(pairs)
