"""Jobs that failed before their container existed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.auth import acting

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.creation import service
    from tests.integration.creation.conftest import Lab


async def stop_the_create(lab: Lab, job_id: UUID) -> service.CreationView:
    """Run a job whose create hangs, stop the task in PVE, and return the failed job."""
    work = lab.work(job_id)
    client = await acting.client(lab.rt, lab.session)

    async def running() -> str:
        tasks = await client.tasks.list("pve1", typefilter="vzcreate")
        return next((task.upid for task in tasks if task.running), "")

    await client.tasks.stop(await lab.until(running, "the task"))
    await work
    job = await lab.finish(job_id, state=JobState.FAILED)
    left = lab.sandbox.api.cts.get(job.vmid)
    if left is not None:  # PVE removes what a stopped create left
        lab.sandbox.api.cts.remove(left)
    return job
