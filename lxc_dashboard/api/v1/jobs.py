"""Acts on containers over HTTP, for programs, and jobs of all kinds: read, cancelled, retried, and their log as a stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from starlette.responses import Response

from lxc_dashboard import routes
from lxc_dashboard.api.v1.answers import answer, job_of
from lxc_dashboard.api.v1.parameters import key_of, named_job, session_of
from lxc_dashboard.api.v1.stream import log_of
from lxc_dashboard.db.models import CREATE_KIND
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.creation import service as creation
from lxc_dashboard.services.jobs import service
from lxc_dashboard.services.jobs.request import is_known
from lxc_dashboard.services.jobs.request import request as request_job

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

VMID_MIN: Final = 100
VMID_DIGITS: Final = 9


async def act(request: Request) -> Response:
    """202 with the job; 200 where the same ``Idempotency-Key`` has brought it before."""
    rt, session = session_of(request)
    wanted, vmid = _act_of(request)
    key = key_of(request)
    if key and await is_known(rt, session, key):
        return answer(job_of(await _seen(rt, session, key)))
    guest = await power.find(rt, session, vmid)
    job_id = await request_job(rt, session, wanted.act, guest, job_id=key)
    return answer(job_of(await _stored(rt, job_id)), 202, Location=routes.api_job(job_id))


async def read(request: Request) -> Response:
    rt, session, job_id = named_job(request)
    return answer(job_of(await _seen(rt, session, job_id)))


async def log(request: Request) -> Response:
    rt, session, job_id = named_job(request, "after", "follow")
    return await log_of(request, rt, session, job_id, partial(_seen, rt, session, job_id))


async def cancel(request: Request) -> Response:
    rt, session, job_id = named_job(request)
    job = await _stored(rt, job_id)
    if job.kind == CREATE_KIND:
        await creation.cancel(rt, session, job_id)
    else:
        await service.cancel(rt, session, job)
    return answer(job_of(await _stored(rt, job_id)), 202)


async def retry(request: Request) -> Response:
    """202 with the job that runs then: a creation itself, of an act a new one. 200 as ``act``."""
    rt, session, job_id = named_job(request)
    key = key_of(request)
    if key and await is_known(rt, session, key):
        return answer(job_of(await _seen(rt, session, key)))
    job = await _stored(rt, job_id)
    if job.kind == CREATE_KIND:
        await creation.retry(rt, session, job_id)
        again = job_id
    else:
        again = await service.retry(rt, session, job, job_id=key)
    return answer(job_of(await _stored(rt, again)), 202, Location=routes.api_job(again))


async def _seen(rt: Runtime, session: Session, job_id: UUID) -> Job:
    """A job that the caller may see. Raises ``NotFoundError``, what PVE says."""
    job = await _stored(rt, job_id)
    if job.kind == CREATE_KIND:
        await creation.require_visible(rt, session, job_id)
    else:
        await service.require_visible(rt, session, job)
    return job


async def _stored(rt: Runtime, job_id: UUID) -> Job:
    """The row, whoever asks. Raises ``NotFoundError``."""
    async with rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


def _act_of(request: Request) -> tuple[Power, int]:
    """Raises ``NotFoundError``."""
    vmid = request.path_params["vmid"]
    if not (vmid.isascii() and vmid.isdigit() and len(vmid) <= VMID_DIGITS and int(vmid) >= VMID_MIN):
        raise NotFoundError
    try:
        return Power(request.path_params["act"]), int(vmid)
    except ValueError:
        raise NotFoundError from None
