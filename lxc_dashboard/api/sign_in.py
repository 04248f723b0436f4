"""Sign-in and sign-out by plain requests, because the websocket's handshake requires the cookie."""

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
from lxc_dashboard.api.middleware.address import headers_of, keeps_cookie, wants_secure
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.request import caller_of, client_of, trust_of
from lxc_dashboard.api.sign_in_page import FormValues, Messages
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
from lxc_dashboard.services.auth import endpoints, sessions, sign_in
from lxc_dashboard.services.auth.endpoints import Realm
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.auth.sign_in import SecondStep, SignedIn
from lxc_dashboard.services.creation import service as creations
from lxc_dashboard.state.base import reference

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

STEP_COOKIE: Final = "lxc_dashboard_step"
FORM_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed attempt: the message and status of its page."""

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
    """Show the second step if a challenge is open, else the first.

    A signed-in user is redirected to ``next``, unless the query has ``again``.
    """
    next_path = routes.safe_next(request.query_params.get("next", routes.DASHBOARD))
    caller = caller_of(request)
    if "again" in request.query_params:
        values = _values_again(caller.session, request.query_params.get("endpoint", ""), next_path)
        response = await _password_page(request, values, Messages())
        _drop_cookie(request, response, STEP_COOKIE, routes.SIGN_IN)
        return response
    step = await sign_in.second_step(caller.runtime, request.cookies.get(STEP_COOKIE, ""))
    if step is not None:
        return _html(page.second_step_page(step, next_path, Messages()))
    if caller.session is not None:
        return RedirectResponse(next_path, status_code=303, headers=NO_STORE)
    return await _password_page(request, FormValues(next_path=next_path), Messages())


def _values_again(session: Session | None, endpoint_id: str, next_path: str) -> FormValues:
    """The form for a signed-in user: the same user name, which is empty for another endpoint."""
    if session is None or endpoint_id not in {"", str(session.endpoint_id)}:
        return FormValues(endpoint_id, next_path=next_path)
    user, _, realm = session.userid.rpartition("@")
    return FormValues(str(session.endpoint_id), user, realm, next_path)


async def submit(request: Request) -> Response:
    """Submit either step. A failure shows the form again with all values but the password."""
    form = await _form(request)
    if "code" in form:
        return await _submit_code(request, form)
    values = FormValues(
        form.get("endpoint", ""), form.get("user", ""), form.get("realm", ""), routes.safe_next(form.get("next", ""))
    )
    missing = {"user": text.USER_MISSING, "password": text.PASSWORD_MISSING}
    empty = {name: message for name, message in missing.items() if not form.get(name, "").strip()}
    if empty:
        return await _password_page(request, values, Messages(fields=empty), 422)
    runtime = caller_of(request).runtime
    try:
        result = await sign_in.sign_in(
            runtime,
            _uuid(values.endpoint_id),
            user=values.user,
            realm=values.realm,
            password=form["password"],
            origin=client_of(request),
        )
    except DashboardError as error:
        failure = _failure_of(error)
        return await _password_page(request, values, Messages(failure.message), failure.status)
    if isinstance(result, SecondStep):
        return _to_second_step(request, result, values.next_path)
    return await _enter(request, result, values.next_path)


async def leave(request: Request) -> Response:
    """End the session in all its tabs."""
    caller = caller_of(request)
    if caller.session is not None:
        await sign_in.sign_out(caller.runtime, caller.session, client_of(request))
    response = RedirectResponse(routes.SIGN_IN, status_code=303, headers=NO_STORE)
    _drop_cookie(request, response, _session_cookie(request), "/")
    return response


async def list_realms(request: Request) -> Response:
    """The realms of a registered endpoint: ``{"realms": [{"name", "comment"}]}``, empty if they cannot be read."""
    try:
        found = await endpoints.realms(caller_of(request).runtime, _uuid(request.query_params.get("endpoint", "")))
    except (NotFoundError, ProxmoxError):
        found = []
    listed = [{"name": realm.name, "comment": realm.comment} for realm in found]
    return JSONResponse({"realms": listed}, headers=NO_STORE)


async def _submit_code(request: Request, form: dict[str, str]) -> Response:
    runtime = caller_of(request).runtime
    token = request.cookies.get(STEP_COOKIE, "")
    next_path = routes.safe_next(form.get("next", ""))
    step = await sign_in.second_step(runtime, token)
    if step is None:
        return await _password_page(request, FormValues(next_path=next_path), Messages(text.TFA_EXPIRED), 401)
    code = form["code"].strip()
    if not code:
        return _html(page.second_step_page(step, next_path, Messages(fields={"code": text.CODE_MISSING})), 422)
    origin = client_of(request)
    try:
        result = await sign_in.answer(runtime, token, form.get("kind", ""), code, origin)
    except SessionExpiredError:
        return await _password_page(request, FormValues(next_path=next_path), Messages(text.TFA_EXPIRED), 401)
    except DashboardError as error:
        failure = _failure_of(error)
        return _html(page.second_step_page(step, next_path, Messages(failure.message)), failure.status)
    return await _enter(request, result, next_path)


async def _enter(request: Request, result: SignedIn, next_path: str) -> Response:
    caller = caller_of(request)
    await creations.resume_after_sign_in(caller.runtime, result.session)
    if caller.session is not None:
        await sessions.end(caller.runtime, caller.session)
    response = RedirectResponse(next_path, status_code=303, headers=NO_STORE)
    max_age_s = int(ABSOLUTE_LIFETIME.total_seconds())
    _set_cookie(request, response, _session_cookie(request), result.cookie_value, path="/", max_age_s=max_age_s)
    _drop_cookie(request, response, STEP_COOKIE, routes.SIGN_IN)
    return response


def _to_second_step(request: Request, step: SecondStep, next_path: str) -> Response:
    query = routes.sign_in(next_path)
    response = RedirectResponse(query, status_code=303, headers=NO_STORE)
    _set_cookie(request, response, STEP_COOKIE, step.token, path=routes.SIGN_IN, max_age_s=sign_in.LIFETIME_S)
    return response


async def _password_page(request: Request, values: FormValues, messages: Messages, status: int = 200) -> Response:
    runtime = caller_of(request).runtime
    choices = await endpoints.choices(runtime)
    chosen = next((choice for choice in choices if str(choice.id) == values.endpoint_id), None) or next(
        iter(choices), None
    )
    notes: list[str] = []
    session = caller_of(request).session
    if session is not None and chosen is not None and chosen.id != session.endpoint_id:
        notes.append(text.SIGN_IN_ELSEWHERE.format(userid=session.userid, endpoint=session.endpoint_name))
    offered: list[Realm] | tuple[Realm, ...] = page.DEFAULT_REALMS
    if chosen is not None:
        offered, note = await _realms(runtime, chosen)
        notes.extend([note] if note else [])
    if not _keeps_cookie(request):
        notes.append(text.NEEDS_TLS)
    if runtime.settings.SANDBOX:
        notes.append(text.SANDBOX_NOTE)
    return _html(
        page.password_page(choices, offered, values, Messages(messages.error, messages.fields, tuple(notes))), status
    )


async def _realms(runtime: Runtime, chosen: endpoints.Choice) -> tuple[list[Realm] | tuple[Realm, ...], str]:
    """The endpoint's realms; if they cannot be read, the default ones and the reason."""
    try:
        return await endpoints.realms(runtime, chosen.id) or page.DEFAULT_REALMS, ""
    except DashboardError as error:
        reason = _failure_of(error).message
    return page.DEFAULT_REALMS, text.REALMS_UNKNOWN.format(endpoint=chosen.name, reason=reason)


def _failure_of(error: DashboardError) -> _Failure:
    """What an anonymous user may know about ``error``. Reraises errors that do not belong to a sign-in."""
    if isinstance(error, InvalidCredentialsError):
        return _Failure(InvalidCredentialsError().user_message, 401)
    if isinstance(error, RateLimitedError):
        return _Failure(error.user_message, 429)
    if isinstance(error, TlsError):
        return _Failure(TlsError().user_message, 502)
    if isinstance(error, (UnreachableError, NotFoundError)):
        return _Failure(UnreachableError().user_message, 502)
    if isinstance(error, ProxmoxError):
        reference_id = reference()
        log.warning("sign-in failed in PVE", reference=reference_id, why=str(error))
        return _Failure(text.PVE_FAILED.format(reference=reference_id), 502)
    raise error


def _session_cookie(request: Request) -> str:
    return sessions.cookie_name(trust_of(caller_of(request).process).public_url)


def _set_cookie(request: Request, response: Response, name: str, value: str, *, path: str, max_age_s: int) -> None:
    """Set a cookie for this site only, over TLS, hidden from scripts."""
    secure = wants_secure(trust_of(caller_of(request).process).public_url)
    response.set_cookie(name, value, max_age=max_age_s, path=path, httponly=True, samesite="lax", secure=secure)


def _drop_cookie(request: Request, response: Response, name: str, path: str) -> None:
    """Delete with the flags of the original: a browser replaces a secure cookie only with a secure one."""
    _set_cookie(request, response, name, "", path=path, max_age_s=0)


def _keeps_cookie(request: Request) -> bool:
    return keeps_cookie(request.scope, headers_of(request.scope), trust_of(caller_of(request).process))


def _html(content: str, status: int = 200) -> Response:
    return HTMLResponse(content, status_code=status, headers=NO_STORE)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError(text.ENDPOINT_UNKNOWN) from None


async def _form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form. Raises ``InvalidInputError`` if it is too large or invalid."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise InvalidInputError({"form": text.FORM_TOO_LONG})
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=32)
    except ValueError as error:
        raise InvalidInputError({"form": text.NOT_A_FORM}) from error
    return dict(pairs)
