"""A job's copy of the ticket is wiped with its user's session, and a new sign-in brings a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lxc_dashboard import routes
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState
from lxc_dashboard.db.repositories.tickets import JobTicket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.settings import Settings
from tests.integration.web.conftest import Visitor


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


async def queued_job(rt: Runtime, visitor: Visitor, vmid: int) -> Job:
    session = await sessions.find(rt, visitor.cookies[sessions.COOKIE_NAME])
    assert session is not None
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node="pve1", hostname="waits")
        )
        creation = await tx.jobs.add(Job.about(container, CREATE_KIND, step="creating", userid=session.userid))
        ticket = JobTicket(session.ticket, session.csrf_token)
        await tx.tickets.set(creation.id, ticket, session_id=session.id, signed_in_at=session.signed_in_at)
        return creation


async def test_signing_out_takes_the_ticket_of_the_sessions_jobs_and_they_wait(visitor: Visitor, rt: Runtime) -> None:
    await visitor.sign_in()
    job = await queued_job(rt, visitor, 901)
    await visitor.post(routes.SIGN_OUT)
    async with rt.db.transaction() as tx:
        assert await tx.tickets.get(job.id) is None
        assert (await tx.jobs.get(job.id)).state == JobState.WAITING.value


async def test_the_next_sign_in_of_the_same_user_lets_the_waiting_job_go_on(visitor: Visitor, rt: Runtime) -> None:
    await visitor.sign_in()
    job = await queued_job(rt, visitor, 902)
    await visitor.post(routes.SIGN_OUT)
    await visitor.sign_in()
    async with rt.db.transaction() as tx:
        ticket = await tx.tickets.get(job.id)
        assert ticket is not None
        assert (await tx.jobs.get(job.id)).state == JobState.QUEUED.value
    session = await sessions.find(rt, visitor.cookies[sessions.COOKIE_NAME])
    assert session is not None
    assert ticket.ticket == session.ticket


async def test_the_sign_in_of_another_user_leaves_the_waiting_job_alone(visitor: Visitor, rt: Runtime) -> None:
    await visitor.sign_in()
    job = await queued_job(rt, visitor, 903)
    await visitor.post(routes.SIGN_OUT)
    await visitor.sign_in("operator@pve")
    async with rt.db.transaction() as tx:
        assert await tx.tickets.get(job.id) is None
        assert (await tx.jobs.get(job.id)).state == JobState.WAITING.value
