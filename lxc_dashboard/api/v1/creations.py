"""Creations over HTTP, for programs: asked for, listed, looked at, stopped, run again, cleared away; and their log as a stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from lxc_dashboard import routes
from lxc_dashboard.api.body import BODY_BYTES, bounded
from lxc_dashboard.api.v1.answers import Creations, Done, Secrets, answer, creation_of, problem
from lxc_dashboard.api.v1.parameters import LISTED, LISTED_AT_MOST, flag, key_of, named_job, number, session_of, uuid_of
from lxc_dashboard.api.v1.stream import log_of
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import credentials, service
from lxc_dashboard.services.creation.form import request_body
from lxc_dashboard.services.creation.form.request_body import NO_FIELD
from lxc_dashboard.services.jobs.request import is_known

if TYPE_CHECKING:
    from starlette.requests import Request

NAME_CHARS: Final = 255
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


async def create(request: Request) -> Response:
    """202 with the run; 200 where the same ``Idempotency-Key`` has brought it before."""
    rt, session = session_of(request)
    key = key_of(request)
    job_id = key or new_id()
    if key and await is_known(rt, session, key):
        return answer(creation_of(await service.get_job(rt, session, job_id)))
    body = await _object(request)
    if isinstance(body, Response):
        return body
    spec, secrets = await request_body.completed(rt, session, body)
    await service.request(rt, session, spec, secrets, job_id=job_id)
    made = await service.get_job(rt, session, job_id)
    return answer(creation_of(made), 202, Location=routes.api_creation(job_id))


async def listed(request: Request) -> Response:
    """``?unfinished=true|false&limit=&before=``."""
    rt, session = session_of(request, "unfinished", "limit", "before")
    unfinished = flag(request, "unfinished", default=False)
    limit = number(request, "limit", LISTED, least=1, most=LISTED_AT_MOST)
    given = request.query_params.get("before")
    before = None if given is None else uuid_of(given, "before")
    found = await service.list_jobs(rt, session, unfinished=unfinished, limit=limit, before=before)
    return answer(Creations([creation_of(view) for view in found]))


async def read(request: Request) -> Response:
    rt, session, job_id = named_job(request)
    return answer(creation_of(await service.get_job(rt, session, job_id)))


async def log(request: Request) -> Response:
    """``?after=&follow=true|false``: the lines after a number as NDJSON, the last object an ``End``."""
    rt, session, job_id = named_job(request, "after", "follow")
    return await log_of(request, rt, session, job_id, partial(service.require_visible, rt, session, job_id))


async def reveal(request: Request) -> Response:
    """``{"name"}``: the credentials of one service."""
    rt, session, job_id = named_job(request)
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
    rt, session, job_id = named_job(request)
    return answer(creation_of(await service.cancel(rt, session, job_id)), 202)


async def retry(request: Request) -> Response:
    rt, session, job_id = named_job(request)
    return answer(creation_of(await service.retry(rt, session, job_id)), 202)


async def go_on(request: Request) -> Response:
    rt, session, job_id = named_job(request)
    return answer(creation_of(await service.go_on(rt, session, job_id)), 202)


async def destroy(request: Request) -> Response:
    """``?vmid=`` names once more what is destroyed."""
    rt, session, job_id = named_job(request, "vmid")
    view = await service.get_job(rt, session, job_id)
    if request.query_params.get("vmid", "") != str(view.vmid):
        raise InvalidInputError({"vmid": f"Name the container that is destroyed: ?vmid={view.vmid}"})
    return answer(Done(await service.destroy(rt, session, job_id)))


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
