"""Creations: create, list, read, log, credentials, cancel, retry, resume, destroy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from lxc_dashboard import routes, text
from lxc_dashboard.api.v1.answers import Creations, Secrets, answer, creation_of, job_of
from lxc_dashboard.api.v1.body import object_of
from lxc_dashboard.api.v1.parameters import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    flag,
    job_of_path,
    key_of,
    number,
    session_of,
    uuid_of,
)
from lxc_dashboard.api.v1.stream import log_of
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import credentials, service
from lxc_dashboard.services.creation.form import validation
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.request import is_known

if TYPE_CHECKING:
    from starlette.requests import Request

NAME_CHARS: Final = 255


async def create(request: Request) -> Response:
    """202 with the new creation; 200 with the existing one of the same ``Idempotency-Key``."""
    rt, session = session_of(request)
    key = key_of(request)
    job_id = key or new_id()
    if key and await is_known(rt, session, key):
        return answer(creation_of(await service.get_job(rt, session, job_id)))
    body = await object_of(request)
    if isinstance(body, Response):
        return body
    spec, secrets = await validation.completed(rt, session, body)
    await service.request(rt, session, spec, secrets, job_id=job_id)
    view = await service.get_job(rt, session, job_id)
    return answer(creation_of(view), 202, Location=routes.api_creation(job_id))


async def list_creations(request: Request) -> Response:
    """``?unfinished=true|false&limit=&before=``."""
    rt, session = session_of(request, "unfinished", "limit", "before")
    unfinished = flag(request, "unfinished", default=False)
    limit = number(request, "limit", LIMIT_DEFAULT, least=1, most=LIMIT_MAX)
    before_id = request.query_params.get("before")
    before = None if before_id is None else uuid_of(before_id, "before")
    views = await service.list_jobs(rt, session, unfinished=unfinished, limit=limit, before=before)
    return answer(Creations([creation_of(view) for view in views]))


async def read(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    return answer(creation_of(await service.get_job(rt, session, job_id)))


async def log(request: Request) -> Response:
    """``?after=&follow=true|false``: the lines after number ``after`` as NDJSON, then an ``End``."""
    rt, session, job_id = job_of_path(request, "after", "follow")
    return await log_of(request, rt, session, job_id, partial(service.require_visible, rt, session, job_id))


async def reveal(request: Request) -> Response:
    """Body ``{"name"}``: the credentials of one service."""
    rt, session, job_id = job_of_path(request)
    body = await object_of(request)
    if isinstance(body, Response):
        return body
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
        raise InvalidInputError({"name": text.API_SERVICE_NAME.format(chars=NAME_CHARS)})
    if unknown := body.keys() - {"name"}:
        raise InvalidInputError(dict.fromkeys(sorted(unknown), Message.of(FieldCode.UNKNOWN)))
    return answer(Secrets(await credentials.reveal(rt, session, job_id, name)))


async def cancel(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    return answer(creation_of(await service.cancel(rt, session, job_id)), 202)


async def retry(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    return answer(creation_of(await service.retry(rt, session, job_id)), 202)


async def go_on(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    return answer(creation_of(await service.go_on(rt, session, job_id)), 202)


async def destroy(request: Request) -> Response:
    """``?vmid=`` confirms what is destroyed. 202 with the job that destroys it."""
    rt, session, job_id = job_of_path(request, "vmid")
    view = await service.get_job(rt, session, job_id)
    if request.query_params.get("vmid", "") != str(view.vmid):
        raise InvalidInputError({"vmid": text.API_VMID_MISSING.format(vmid=view.vmid)})
    destroying = await service.destroy(rt, session, job_id)
    return answer(job_of(await jobs.get_job(rt, session, destroying)), 202, Location=routes.api_job(destroying))
