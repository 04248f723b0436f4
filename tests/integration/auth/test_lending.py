"""A job's copy of a ticket and the end of the session that lent it: in either order, no ticket is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ServiceUnavailableError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs.engine import ticket
from lxc_dashboard.settings import Settings
from tests.integration.auth.conftest import Begin
from tests.integration.auth.runs import lent, run_of, stored, ticket_of


async def test_a_session_that_has_ended_lends_nothing(rt: Runtime, begin: Begin) -> None:
    session, _ = await begin()
    job_id = await stored(rt, session, 901)
    await sessions.end(rt, session)
    with pytest.raises(SessionExpiredError):
        async with ticket.lending(rt, session):
            pytest.fail("it was lent")
    with pytest.raises(SessionExpiredError):
        await service.resume_after_sign_in(rt, session)
    assert await ticket_of(rt, job_id) is None


async def test_what_is_lent_while_the_session_ends_is_wiped_by_that_end(rt: Runtime, begin: Begin) -> None:
    session, _ = await begin()
    job_id = await stored(rt, session, 901)
    async with ticket.lending(rt, session) as lending:
        ending = asyncio.create_task(sessions.end(rt, session))
        async with asyncio.timeout(60):
            while await sessions.is_open(rt, session.key):
                await asyncio.sleep(0.005)
        await asyncio.wait({ending}, timeout=0.2)
        assert not ending.done(), "it waits for what is being lent"
        await lending.give(job_id)
    await ending
    assert await ticket_of(rt, job_id) is None
    assert (await run_of(rt, job_id)).state == JobState.WAITING.value


async def test_many_lend_at_once(rt: Runtime, begin: Begin) -> None:
    session, _ = await begin()
    first, second = await stored(rt, session, 901), await stored(rt, session, 902)
    async with ticket.lending(rt, session) as one, asyncio.timeout(60), ticket.lending(rt, session) as other:
        await one.give(first)
        await other.give(second)
    assert await ticket_of(rt, first)
    assert await ticket_of(rt, second)


async def test_the_end_of_one_session_leaves_what_a_later_one_lent(rt: Runtime, begin: Begin) -> None:
    before, _ = await begin()
    job_id = await lent(rt, before, 901)
    later, _ = await begin()
    assert await service.resume_after_sign_in(rt, later) == 1
    await sessions.end(rt, before)
    run, ticket = await run_of(rt, job_id), await ticket_of(rt, job_id)
    assert (run.state, run.session_id) == (JobState.QUEUED.value, later.id)
    assert ticket
    assert ticket.ticket == later.ticket


async def test_a_sign_in_reaches_more_jobs_than_are_given_their_ticket_at_once(
    rt: Runtime, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "GIVE_AT_ONCE", 2)
    session, _ = await begin()
    waiting = [await lent(rt, session, 901 + number) for number in range(5)]
    await sessions.end(rt, session)
    again, _ = await begin()
    assert await service.resume_after_sign_in(rt, again) == 5
    assert {(await run_of(rt, job_id)).state for job_id in waiting} == {JobState.QUEUED.value}


@pytest.mark.parametrize("tokenid", ["", "root@pam!ci"])
async def test_where_redis_cannot_say_whether_a_session_has_ended_only_a_token_is_lent(
    rt: Runtime, begin: Begin, settings_with: Callable[..., Settings], tokenid: str
) -> None:
    session, _ = await begin()
    job_id = await stored(rt, session, 901)
    await sessions.end(rt, session)
    asking = replace(session, tokenid=tokenid, token_secret="secret" if tokenid else "")
    async with Runtime.open(settings_with(REDIS_URL="redis://127.0.0.1:1/0")) as without:
        with nullcontext() if tokenid else pytest.raises(ServiceUnavailableError):
            async with ticket.lending(without, asking) as lending:
                await lending.give(job_id)
    assert bool(await ticket_of(rt, job_id)) == bool(tokenid)
