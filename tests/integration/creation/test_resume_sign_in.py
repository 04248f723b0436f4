"""A job with an expired ticket waits and continues after the next sign-in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.db.repositories.tickets import SIGN_IN_ENDED
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.creation import service
from tests.integration.creation.conftest import DEADLINE_S, entered_again_until_it_ends
from tests.integration.creation.counting import check_exact, counting, let_go
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab


async def test_an_ended_ticket_makes_the_job_wait_and_a_sign_in_goes_on(lab: Lab) -> None:
    job_id = await lab.request(counting("one", "two", lines=200, held=True))
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    lab.sandbox.expire_tickets()
    await entered_again_until_it_ends(lab, work)
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.WAITING
    lab.session = await sign_in(lab.rt, lab.sandbox)
    assert await service.resume_after_sign_in(lab.rt, lab.session) == 1
    await let_go(lab, job_id, "one", "two")
    await lab.finish(job_id)
    await check_exact(lab, job_id, "one", "two", lines=200)


async def test_an_ended_ticket_is_noticed_in_the_middle_of_a_script(lab: Lab) -> None:
    lab.retime(check_ticket_every_s=0.2)
    job_id = await lab.request(counting("one", lines=20, held=True))
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    lab.sandbox.expire_tickets()
    async with asyncio.timeout(DEADLINE_S):
        await work
    await goes_on_after_the_next_sign_in(lab, job_id, lines=20)


@pytest.mark.full
async def test_twelve_hours_after_the_sign_in_a_run_that_works_waits_for_the_next_one(lab: Lab) -> None:
    job_id = await lab.request(counting("one", lines=20, held=True))
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    async with lab.rt.db.transaction() as tx:
        (await tx.jobs.locked(job_id)).signed_in_at -= ABSOLUTE_LIFETIME
    async with asyncio.timeout(DEADLINE_S):
        await work
    await goes_on_after_the_next_sign_in(lab, job_id, lines=20)


async def goes_on_after_the_next_sign_in(lab: Lab, job_id: UUID, *, lines: int) -> None:
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.WAITING
    assert [event.code for event in await lab.events(job_id)].count(SIGN_IN_ENDED) == 1
    lab.session = await sign_in(lab.rt, lab.sandbox)
    assert await service.resume_after_sign_in(lab.rt, lab.session) == 1
    await let_go(lab, job_id, "one")
    await lab.finish(job_id)
    await check_exact(lab, job_id, "one", lines=lines)


async def test_a_session_that_ends_takes_its_jobs_tickets_along(lab: Lab) -> None:
    job_id = await lab.request(counting("one", lines=200, held=True))
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    async with lab.rt.db.transaction() as tx:
        assert await tx.tickets.wipe_of_session(lab.session.id) == [job_id]
    async with asyncio.timeout(DEADLINE_S):
        await work
    await goes_on_after_the_next_sign_in(lab, job_id, lines=200)
