"""How a job ended, as the page that asked for it says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.jobs import follow
from lxc_dashboard.state.notices import regretted, said, warned

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime


async def outcome(rt: Runtime, job_id: UUID) -> Any:
    """A notice, once the job has ended. Only listens: a page that closes, or a web process that ends, stops nothing."""
    job = await follow.ended(rt, job_id)
    if job.state == JobState.DONE:
        return said(job.result["message"])
    return (regretted if job.state == JobState.FAILED else warned)(job.error["message"])
