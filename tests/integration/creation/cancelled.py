"""Helpers that cancel jobs in time and check what they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation import access, service
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation.codes import CreationCode
from tests.integration.creation.conftest import content_of

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

CANCEL_WITHIN_S = 15.0
ACKNOWLEDGED_WITHIN_S = 5.0  # less than it takes to stop what hangs
STUBBORN = (
    "#!/bin/sh\ntrap '' TERM INT HUP\n(trap '' TERM INT HUP; sleep 987) &\necho begun\nwhile :; do sleep 987; done\n"
)
SLEEPS = "sleep 987"  # with the command: a random string of the product may contain the number
ALL_PROCESSES = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true"
NOTHING_OF_OURS = "ls -d /var/lib/lxc-dashboard 2>/dev/null; true"


async def cancel(lab: Lab, job_id: UUID) -> service.CreationView:
    """Request a cancel, check that it is acknowledged at once, and wait for its end within ``CANCEL_WITHIN_S``."""
    async with asyncio.timeout(CANCEL_WITHIN_S):
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
            asked = await service.cancel(lab.rt, lab.session, job_id)
        assert asked.state is JobState.CANCELLING
        await lab.until(lambda: _is(lab, job_id, JobState.CANCELLED), "it is cancelled")
    return await service.get_job(lab.rt, lab.session, job_id)


async def _is(lab: Lab, job_id: UUID, state: JobState) -> bool:
    return (await service.get_job(lab.rt, lab.session, job_id)).state is state


@contextmanager
def pve_hangs_and_is_given_up_soon(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mute PVE and let a cancel give up early. Earlier answers about privileges no longer count."""
    lab.sandbox.mute()
    with monkeypatch.context() as hasty:
        hasty.setattr(access, "RIGHTS_HOLD_FOR_S", 0.0)
        hasty.setattr(cancelling, "STOP_WITHIN_S", 0.5)
        hasty.setattr(cancelling, "LOOK_AGAIN_WITHIN_S", 0.1)
        yield
    lab.sandbox.mute(False)


async def waiting_for_sign_in(lab: Lab) -> UUID:
    """A job whose session ended while its script runs on in the guest."""
    job_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nsleep 987\n")))
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    async with lab.rt.db.transaction() as tx:
        await tx.tickets.wipe_of_session(lab.session.id)
    await work
    return job_id


async def said(lab: Lab, job_id: UUID) -> str:
    return "\n".join(event.message for event in await lab.events(job_id))


async def check_clean(lab: Lab, job: service.CreationView, *words: str) -> None:
    """Check that the container exists, without processes of the job or files of the product."""
    assert lab.containers_named(job.hostname) == [job.vmid]
    processes = await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
    assert [word for word in (SLEEPS, *words) if word in processes] == [], processes
    assert await lab.in_guest(job.vmid, "sh", "-c", NOTHING_OF_OURS) == ""
    assert job.may_destroy


def tasks_of(lab: Lab, kind: str) -> list[dict[str, str]]:
    return [task for task in lab.sandbox.api.tasklog if task["type"] == kind]


async def owed(lab: Lab, job_id: UUID) -> tuple[str, str | None, str | None]:
    async with lab.rt.db.transaction() as tx:
        creation = await tx.jobs.get(job_id)
    return creation.state, creation.ticket_enc, creation.secrets_enc


async def check_settled(lab: Lab, job_id: UUID, code: CreationCode) -> None:
    """Check that the schedule settles the cancel once, with one event ``code``, and that no ticket remains."""
    await lab.until(lambda: settling.settle_due(lab.rt), "settled")
    assert await owed(lab, job_id) == (JobState.CANCELLED.value, None, None)
    assert await settling.settle_due(lab.rt) == 0
    assert [event.code for event in await lab.events(job_id)].count(code) == 1
