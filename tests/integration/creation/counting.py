"""Scripts that record their runs and number their lines, and a worker that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lxc_dashboard.services.creation import service
from lxc_dashboard.settings import Settings
from tests.integration.creation.conftest import BASIC, content_of

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.templates.model import TemplateContent
    from tests.integration.creation.conftest import Lab

LINES = 60
COUNTING = "#!/bin/sh\necho {name} >> /root/runs\ni=0\nwhile [ $i -lt {lines} ]; do i=$((i + 1)); echo {name} line $i; sleep 0.02; done\n"
HELD = "until [ -e /root/go.{name} ]; do sleep 0.05; done\n"


def counting(*names: str, lines: int = LINES, held: bool = False) -> TemplateContent:
    """Scripts that slowly print numbered lines and record each run in ``/root/runs``.

    ``held``: each script waits for ``let_go`` before it ends, so that a test can act while it runs.
    """
    text = COUNTING + (HELD if held else "")
    scripts = [(f"{at}0-{name}.sh", text.format(name=name, lines=lines)) for at, name in enumerate(names, 1)]
    return content_of(*scripts, files=BASIC.files[:1], buckets=BASIC.buckets)


async def let_go(lab: Lab, job_id: UUID, *names: str) -> None:
    """Let held scripts end."""
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    await lab.in_guest(vmid, "touch", *(f"/root/go.{name}" for name in names))


async def check_exact(lab: Lab, job_id: UUID, *names: str, lines: int = LINES) -> None:
    """Check that each script ran once and that each of its lines is stored once, in order."""
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert (await lab.in_guest(job.vmid, "cat", "/root/runs")).split() == list(names)
    for at, name in enumerate(names, 1):
        assert await lab.log_of(job_id, f"{at}0-{name}.sh") == [f"{name} line {n}" for n in range(1, lines + 1)]
    assert lab.containers_named(job.hostname) == [job.vmid]
    events = await lab.events(job_id)
    numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
    assert numbers == list(range(1, len(numbers) + 1))


class Killed:
    """Starts a worker in a process that a test can kill."""

    def __init__(self, settings: Settings) -> None:
        secret = ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY")
        self._environ = {name: getattr(settings, name).get_secret_value() for name in secret}

    async def start(self, job_id: UUID) -> asyncio.subprocess.Process:
        worker = Path(__file__).with_name("worker.py")
        environ = {**os.environ, **self._environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        return await asyncio.create_subprocess_exec(sys.executable, str(worker), str(job_id), env=environ)
