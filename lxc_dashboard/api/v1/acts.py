"""Acts on containers: one route for each kind of job that declares one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from lxc_dashboard import routes
from lxc_dashboard.api.v1.answers import answer, job_of
from lxc_dashboard.api.v1.body import invalid, object_of
from lxc_dashboard.api.v1.parameters import key_of, session_of, vmid_of
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.jobs import service
from lxc_dashboard.services.jobs.acts import ACTS, Act
from lxc_dashboard.services.jobs.request import is_known
from lxc_dashboard.services.jobs.request import request as request_job

if TYPE_CHECKING:
    from starlette.requests import Request

VMID: Final = "vmid"


def act_routes() -> list[Route]:
    return [
        Route(routes.api_act("{vmid}", found.route), partial(act, found), methods=[found.method])
        for found in ACTS.values()
    ]


async def act(found: Act, request: Request) -> Response:
    """202 with the new job; 200 with the existing job of the same ``Idempotency-Key``.

    The body has the act's parameters, except those in the path.
    """
    rt, session = session_of(request)
    vmid = vmid_of(request)
    key = key_of(request)
    if key and await is_known(rt, session, key):
        return answer(job_of(await service.get_job(rt, session, key)))
    body = await object_of(request, optional=True)
    if isinstance(body, Response):
        return body
    in_path = {name: value for name, value in request.path_params.items() if name != VMID}
    if twice := in_path.keys() & body.keys():
        raise InvalidInputError(dict.fromkeys(sorted(twice), Message.of(FieldCode.UNKNOWN)))
    guest = await power.find(rt, session, vmid)
    try:
        job_id = await request_job(rt, session, found, guest, {**body, **in_path}, job_id=key)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    return answer(job_of(await service.get_job(rt, session, job_id)), 202, Location=routes.api_job(job_id))
