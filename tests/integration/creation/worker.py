"""A worker for one job, in a process that tests kill: ``python worker.py JOB_ID``."""

from __future__ import annotations

import asyncio
import sys

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation.kind import CREATION
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.kinds import kind_of
from lxc_dashboard.settings import Settings


async def main(job_id: str) -> None:
    assert kind_of(CREATION.name) is CREATION, "a worker knows a kind whose module it imports"
    async with Runtime.open(Settings.load()) as rt:
        await engine.run(rt, job_id)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
