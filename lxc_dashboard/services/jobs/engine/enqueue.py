"""The queue through which a worker gets a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

RUN_TASK: Final = "jobs.run"


async def enqueue(rt: Runtime, job_id: UUID) -> None:
    """Hand the job to a worker. If the queue is away, the reaper finds the row later."""
    try:
        await rt.queue.enqueue(RUN_TASK, job_id=str(job_id))
    except ServiceUnavailableError as error:
        log.warning("job not enqueued", job_id=str(job_id), why=str(error))
