"""What pages that start acts share: whether the user may, and how the act ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.jobs.acts import Act
from lxc_dashboard.services.jobs.events import follow
from lxc_dashboard.state.base import notify, notify_error, notify_warning, runtime, session

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

BEGINS_WITHIN_S: Final = 10.0


async def barred_from(act: Act, vmid: int) -> str:
    """The privilege that the user lacks for the act on the guest, in words. Empty if they may, or if PVE does not answer."""
    path = f"/vms/{vmid}"
    missing = await privileges.missing(runtime(), session(), path, *act.needs)
    return text.MISSING_PRIVILEGE.format(privilege=missing, path=path) if missing else ""


async def notices(rt: Runtime, job_id: UUID) -> AsyncIterator[Any]:
    """A notice at the end of the job, and one before if no worker takes it within ``BEGINS_WITHIN_S``.

    Only listens: the job goes on when the page closes or the web process ends.
    """
    ending = asyncio.create_task(follow.ended(rt, job_id))
    try:
        await asyncio.wait([ending], timeout=BEGINS_WITHIN_S)
        if not ending.done() and await _is_queued(rt, job_id):
            yield notify_warning(text.NO_WORKER, job_id)
        job = await ending
    finally:
        ending.cancel()
    if job.state == JobState.DONE:
        yield notify(text.in_words_of(job.result), job_id)
    else:
        show = notify_error if job.state == JobState.FAILED else notify_warning
        yield show(text.in_words_of(job.error), job=job_id)


async def _is_queued(rt: Runtime, job_id: UUID) -> bool:
    async with rt.db.transaction() as tx:
        return (await tx.jobs.get(job_id)).state == JobState.QUEUED
