"""Jobs of all kinds: list, read, log, cancel, retry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response

from lxc_dashboard import routes, text
from lxc_dashboard.api.v1.answers import Jobs, answer, job_of
from lxc_dashboard.api.v1.parameters import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    VMID_MAX,
    VMID_MIN,
    job_of_path,
    key_of,
    number,
    session_of,
    uuid_of,
)
from lxc_dashboard.api.v1.stream import log_of
from lxc_dashboard.db.models import CREATE_KIND, JobState
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import service as creation
from lxc_dashboard.services.jobs import service
from lxc_dashboard.services.jobs.listing import Wanted, page_of
from lxc_dashboard.services.jobs.request import is_known

if TYPE_CHECKING:
    from starlette.requests import Request


async def list_jobs(request: Request) -> Response:
    """``?kind=&vmid=&user=&state=&limit=&before=``."""
    rt, session = session_of(request, "kind", "vmid", "user", "state", "limit", "before")
    query = request.query_params
    filters = Wanted(
        states=_states(query.get("state")),
        kind=query.get("kind", ""),
        userid=query.get("user", ""),
        vmid=number(request, "vmid", 0, least=VMID_MIN, most=VMID_MAX) if "vmid" in query else None,
        before=uuid_of(query["before"], "before") if "before" in query else None,
    )
    limit = number(request, "limit", LIMIT_DEFAULT, least=1, most=LIMIT_MAX)
    found = await page_of(rt, session, filters, limit=limit)
    return answer(Jobs([job_of(view) for view in found.jobs]))


async def read(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    return answer(job_of(await service.get_job(rt, session, job_id)))


async def log(request: Request) -> Response:
    rt, session, job_id = job_of_path(request, "after", "follow")
    return await log_of(request, rt, session, job_id, partial(service.visible, rt, session, job_id))


async def cancel(request: Request) -> Response:
    rt, session, job_id = job_of_path(request)
    await service.cancel(rt, session, job_id)
    return answer(job_of(await service.get_job(rt, session, job_id)), 202)


async def retry(request: Request) -> Response:
    """202 with the job that runs: the same creation, or a new job for an act. 200 as in ``act``."""
    rt, session, job_id = job_of_path(request)
    key = key_of(request)
    if key and await is_known(rt, session, key):
        return answer(job_of(await service.get_job(rt, session, key)))
    shown = await service.visible(rt, session, job_id)
    if shown.job.kind == CREATE_KIND:
        await creation.retry(rt, session, job_id)
        again = job_id
    else:
        again = await service.retry(rt, session, job_id, new_id=key)
    return answer(job_of(await service.get_job(rt, session, again)), 202, Location=routes.api_job(again))


def _states(value: str | None) -> tuple[JobState, ...]:
    """Raises ``InvalidInputError``."""
    try:
        return () if value is None else (JobState(value),)
    except ValueError:
        raise InvalidInputError({"state": text.API_NOT_ONE_OF.format(values=", ".join(JobState))}) from None
