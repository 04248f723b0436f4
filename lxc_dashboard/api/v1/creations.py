"""Creations over HTTP, for programs: asked for, listed, looked at, stopped, run again, cleared away; and their log as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from starlette.responses import Response, StreamingResponse

from lxc_dashboard import routes
from lxc_dashboard.api.body import BODY_BYTES, bounded
from lxc_dashboard.api.door import caller_of
from lxc_dashboard.api.v1.answers import NO_STORE, Creations, Done, Secrets, answer, creation_of, problem
from lxc_dashboard.api.v1.stream import LogStream
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import InvalidInputError, NotFoundError, TokenRefusedError
from lxc_dashboard.services.creation import credentials, described, requesting, service
from lxc_dashboard.services.creation.described import NO_FIELD

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
LISTED: Final = 100
NAME_CHARS: Final = 255
LISTED_AT_MOST: Final = 500
SEQ_MAX: Final = 2**63 - 1
NDJSON: Final = "application/x-ndjson"
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


async def create(request: Request) -> Response:
    """202 with the run; 200 where the same ``Idempotency-Key`` has brought it before."""
    rt, session = _asked(request)
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    job_id = _uuid(key, IDEMPOTENCY_KEY) if key else new_id()
    if key and await requesting.is_known(rt, session, job_id):
        return answer(creation_of(await service.get_job(rt, session, job_id)))
    body = await _object(request)
    if isinstance(body, Response):
        return body
    spec, secrets = await described.completed(rt, session, body)
    await service.request(rt, session, spec, secrets, job_id=job_id)
    made = await service.get_job(rt, session, job_id)
    return answer(creation_of(made), 202, Location=routes.api_creation(job_id))


async def listed(request: Request) -> Response:
    """``?unfinished=true|false&limit=&before=``."""
    rt, session = _asked(request, "unfinished", "limit", "before")
    unfinished = _flag(request, "unfinished", default=False)
    limit = _number(request, "limit", LISTED, least=1, most=LISTED_AT_MOST)
    given = request.query_params.get("before")
    before = None if given is None else _uuid(given, "before")
    found = await service.list_jobs(rt, session, unfinished=unfinished, limit=limit, before=before)
    return answer(Creations([creation_of(view) for view in found]))


async def read(request: Request) -> Response:
    rt, session, job_id = _named(request)
    return answer(creation_of(await service.get_job(rt, session, job_id)))


async def log(request: Request) -> Response:
    """``?after=&follow=true|false``: the lines after a number as NDJSON, the last object an ``End``."""
    rt, session, job_id = _named(request, "after", "follow")
    after = _number(request, "after", 0, least=0, most=SEQ_MAX)
    follow = _flag(request, "follow", default=True)
    await service.require_visible(rt, session, job_id)  # refused before the answer begins
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type=NDJSON, headers=headers)
    stream = LogStream(rt, session, job_id)
    lines = stream.follow(after) if follow else stream.stored(after)
    return StreamingResponse(lines, media_type=NDJSON, headers=headers)


async def reveal(request: Request) -> Response:
    """``{"name"}``: the credentials of one service."""
    rt, session, job_id = _named(request)
    body = await _object(request)
    if isinstance(body, Response):
        return body
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
        raise InvalidInputError({"name": f"Name a service, with {NAME_CHARS} characters at most"})
    if unknown := body.keys() - {"name"}:
        raise InvalidInputError(dict.fromkeys(sorted(unknown), NO_FIELD))
    return answer(Secrets(await credentials.reveal(rt, session, job_id, name)))


async def cancel(request: Request) -> Response:
    rt, session, job_id = _named(request)
    return answer(creation_of(await service.cancel(rt, session, job_id)), 202)


async def retry(request: Request) -> Response:
    rt, session, job_id = _named(request)
    return answer(creation_of(await service.retry(rt, session, job_id)), 202)


async def go_on(request: Request) -> Response:
    rt, session, job_id = _named(request)
    return answer(creation_of(await service.go_on(rt, session, job_id)), 202)


async def destroy(request: Request) -> Response:
    """``?vmid=`` names once more what is destroyed."""
    rt, session, job_id = _named(request, "vmid")
    view = await service.get_job(rt, session, job_id)
    if request.query_params.get("vmid", "") != str(view.vmid):
        raise InvalidInputError({"vmid": f"Name the container that is destroyed: ?vmid={view.vmid}"})
    return answer(Done(await service.destroy(rt, session, job_id)))


def _asked(request: Request, *known: str) -> tuple[Runtime, Session]:
    """``known``: what the query may hold besides the endpoint. What it may not would do nothing and look as if it did."""
    caller = caller_of(request)
    if caller.session is None:
        raise TokenRefusedError
    unknown = set(request.query_params) - {"endpoint", *known}
    if unknown:
        raise InvalidInputError(dict.fromkeys(sorted(unknown), "There is no such parameter"))
    return caller.runtime, caller.session


def _named(request: Request, *known: str) -> tuple[Runtime, Session, UUID]:
    rt, session = _asked(request, *known)
    try:
        return rt, session, UUID(request.path_params["job_id"])
    except ValueError:
        raise NotFoundError("This job does not exist, or not any more") from None


async def _object(request: Request) -> dict[str, Any] | Response:
    """The body's JSON object, or the answer to what is none. Raises ``InvalidInputError``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return problem(415, "Send application/json")
    body = await bounded(request)
    if body is None:
        return problem(413, f"The body is larger than {BODY_BYTES >> 20} MiB")
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError({}, "The body is no JSON object") from error


def _uuid(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidInputError({name: "Send a UUID"}) from None


def _flag(request: Request, name: str, *, default: bool) -> bool:
    value = request.query_params.get(name)
    if value not in {None, "true", "false"}:
        raise InvalidInputError({name: "Either true or false"})
    return default if value is None else value == "true"


def _number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most):
        raise InvalidInputError({name: f"A whole number from {least} to {most}"})
    return int(value)
