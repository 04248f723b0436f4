"""Pending cancels: who settles them, until when, and that only one pass runs at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from lxc_dashboard.db.models import JobState
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.codes import CreationCode
from tests.integration.auth.runs import lent
from tests.integration.creation.cancelled import (
    ALL_PROCESSES,
    SLEEPS,
    STUBBORN,
    cancel,
    check_settled,
    owed,
    pve_hangs_and_is_given_up_soon,
)
from tests.integration.creation.conftest import content_of

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime
    from tests.integration.creation.conftest import Lab


async def cancelled_while_pve_hangs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> service.CreationView:
    """A job that was cancelled in a script while PVE hung. The script runs on."""
    job_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    with pve_hangs_and_is_given_up_soon(lab, monkeypatch):
        return await cancel(lab, job_id)


@pytest.mark.full
async def test_what_is_owed_ends_with_the_session_that_lent_the_ticket(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await cancelled_while_pve_hangs(lab, monkeypatch)
    assert (await owed(lab, job.id))[1] is not None
    async with lab.rt.db.transaction() as tx:
        await tx.tickets.wipe_of_session(lab.session.id)
    assert await owed(lab, job.id) == (JobState.CANCELLED.value, None, None)
    assert await settling.settle_due(lab.rt) == 0
    assert CreationCode.SETTLED_GUEST not in [event.code for event in await lab.events(job.id)]


@pytest.mark.full
async def test_what_is_owed_is_given_up_twelve_hours_after_the_sign_in(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await cancelled_while_pve_hangs(lab, monkeypatch)
    async with lab.rt.db.transaction() as tx:
        (await tx.jobs.get(job.id)).signed_in_at -= ABSOLUTE_LIFETIME
    await check_settled(lab, job.id, CreationCode.GIVEN_UP)
    assert SLEEPS in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


async def test_what_is_owed_in_a_container_that_is_destroyed_is_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await cancelled_while_pve_hangs(lab, monkeypatch)
    await lab.destroy(job.id)
    await check_settled(lab, job.id, CreationCode.SETTLED_GONE)


async def test_what_nobody_expected_of_one_run_hides_no_other(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = await lent(lab.rt, lab.session, 901), await lent(lab.rt, lab.session, 902)
    async with lab.rt.db.transaction() as tx:
        for job_id in (broken, whole):
            job = await tx.jobs.get(job_id)
            job.state, job.enqueued_at = JobState.CANCELLED.value, None

    async def end(_rt: Runtime, creation: Job) -> Message:
        if creation.id == broken:
            raise RuntimeError("frobnicated")
        return Message.of(CreationCode.SETTLED_GUEST)

    monkeypatch.setattr(settling, "_end", end)
    with capture_logs() as logged:
        assert await settling.settle_due(lab.rt) == 1
    assert [line["job_id"] for line in logged if line.get("exc_info")] == [str(broken)]
    assert [(await owed(lab, each))[1] is None for each in (broken, whole)] == [False, True]


async def test_one_pass_at_a_time_tries_to_end_what_is_owed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await lent(lab.rt, lab.session, 901)
    async with lab.rt.db.transaction() as tx:
        job = await tx.jobs.get(job_id)
        job.state, job.enqueued_at = JobState.CANCELLED.value, None
    begun, ends = asyncio.Event(), asyncio.Event()

    async def hangs(*_: object) -> bool:
        begun.set()
        await ends.wait()
        return True

    monkeypatch.setattr(settling, "_settle", hangs)
    first = asyncio.create_task(settling.settle_due(lab.rt))
    await begun.wait()
    async with asyncio.timeout(60):
        assert await settling.settle_due(lab.rt) == 0
    ends.set()
    assert await first == 1
    assert await settling.settle_due(lab.rt) == 1
