"""Scheduled renewal keeps tickets of sessions and jobs valid beyond PVE's two hours.

It extends the life of no session or job.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.db.repositories.tickets import JobTicket, LentTicket
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions, sign_in
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, Session
from lxc_dashboard.services.jobs.engine import ticket
from lxc_dashboard.services.jobs.engine import ticket as job_renewal
from pve_sandbox.node import SandboxNode
from tests.integration.auth.conftest import Begin
from tests.integration.auth.runs import lent, run_of, ticket_of

HOUR_S = 3600.0


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def begun_ago(begin: Begin, sandbox: SandboxNode, seconds: float) -> tuple[Session, str]:
    """Begin a session with a ticket that PVE made ``seconds`` ago."""
    sandbox.ticket_issuer.skew_s = -seconds
    session, cookie = await begin(issued_at=time.time() - seconds)
    sandbox.ticket_issuer.skew_s = 0
    return session, cookie


async def test_a_session_that_nobody_used_for_long_still_acts_for_its_user(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    session, cookie = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    assert await sign_in.renew_due(rt) == 1
    sandbox.ticket_issuer.skew_s = HOUR_S  # 2 h 6 min after the first ticket
    found = await sessions.find(rt, cookie)
    assert found
    assert found.ticket != session.ticket
    assert (found.id, found.signed_in_at) == (session.id, session.signed_in_at)
    assert "VM.Allocate" in await (await acting.client(rt, found)).access.permissions("/vms/101")


async def test_a_renewal_is_no_use_of_the_session(
    rt: Runtime, begin: Begin, sandbox: SandboxNode, redis: Redis
) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    keys = [sessions._identity_key(session.key), sessions._ticket_key(session.key)]
    for key in keys:
        await redis.expire(key, 100)
    assert await sign_in.renew_due(rt) == 1
    assert max([await redis.ttl(key) for key in keys]) <= 100
    assert min([await redis.ttl(key) for key in keys]) > 0


async def test_only_sessions_past_half_of_their_tickets_life_are_looked_at(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    young, _ = await begin()
    old, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    assert await sign_in.renew_due(rt) == 1
    assert await sign_in.renew_due(rt) == 0
    assert await sessions.load(rt, young.key) == young
    renewed = await sessions.load(rt, old.key)
    assert renewed
    assert renewed.ticket_issued_at > old.ticket_issued_at


async def test_a_session_that_is_over_is_struck_off_the_timetable(
    rt: Runtime, begin: Begin, sandbox: SandboxNode, redis: Redis
) -> None:
    idle, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    dead, _ = await begin(issued_at=time.time() - 2.5 * HOUR_S)
    ended, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    await redis.delete(sessions._identity_key(idle.key))
    await sessions.end(rt, ended)
    assert await sign_in.renew_due(rt) == 2
    assert await redis.zcard(sessions.DUE_KEY) == 0
    assert await sessions.load(rt, dead.key) == dead


async def test_a_renewal_that_fails_is_tried_again_later(rt: Runtime, begin: Begin, sandbox: SandboxNode) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    await sandbox.close()
    assert await sign_in.renew_due(rt) == 1
    assert await sessions.load(rt, session.key) == session
    later = time.time() + sessions.RENEW_AGAIN_AFTER_S + 1
    assert await rt.bus.take_due(sessions.DUE_KEY, until=later, again_at=later, count=10) == [session.key]


async def test_a_session_whose_ticket_pve_revoked_is_ended(rt: Runtime, begin: Begin, sandbox: SandboxNode) -> None:
    session, cookie = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    sandbox.expire_tickets()
    async with rt.bus.listen(sessions.ENDED_CHANNEL) as heard:
        assert await sign_in.renew_due(rt) == 1
        async with asyncio.timeout(60):
            assert await anext(heard) == (sessions.ENDED_CHANNEL, str(session.id).encode())
    assert await sessions.find(rt, cookie) is None


async def test_an_ended_session_is_never_given_a_ticket_again_not_for_an_instant(
    rt: Runtime, begin: Begin, redis: Redis
) -> None:
    session, _ = await begin()
    await sessions.end(rt, session)
    written: list[str] = []
    async with redis.monitor() as monitor:
        await sessions.keep_ticket(rt, session, "PVE:new", "new")
        await redis.set("over", "1", px=5000)
        while not written or not written[-1].startswith("SET over"):
            written.append((await monitor.next_command())["command"])
    assert not any(command.startswith("SET auth:") for command in written)


async def test_a_run_in_line_keeps_a_ticket_that_pve_takes(rt: Runtime, begin: Begin, sandbox: SandboxNode) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    job_id = await lent(rt, session, 901)
    young_id = await lent(rt, (await begin())[0], 902)
    before, young = await ticket_of(rt, job_id), await ticket_of(rt, young_id)
    assert await job_renewal.renew_due(rt) == 1
    after = await ticket_of(rt, job_id)
    assert before
    assert after
    assert before.ticket != after.ticket
    assert await ticket_of(rt, young_id) == young
    sandbox.ticket_issuer.skew_s = HOUR_S
    client = await ticket.client_of(rt, await run_of(rt, job_id), "a worker")
    assert "VM.Allocate" in await client.access.permissions("/vms/901")


async def test_what_a_later_sign_in_lent_to_a_run_is_renewed_while_a_worker_holds_it(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    first, _ = await begin()
    job_id = await lent(rt, first, 901)
    await held_by(rt, job_id, "a worker")
    later, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    async with ticket.lending(rt, later) as lending:
        await lending.give(job_id)
    before = await ticket_of(rt, job_id)
    assert await job_renewal.renew_due(rt) == 1
    assert await ticket_of(rt, job_id) != before


@pytest.mark.parametrize("lent_anew", [False, True])
async def test_a_worker_renews_the_ticket_that_it_acts_with_and_stores_it_unless_another_was_lent(
    rt: Runtime, begin: Begin, sandbox: SandboxNode, lent_anew: bool
) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    job_id = await lent(rt, session, 901)
    await held_by(rt, job_id, "a worker")
    client = await ticket.client_of(rt, await run_of(rt, job_id), "a worker")
    if lent_anew:
        async with ticket.lending(rt, (await begin())[0]) as lending:
            await lending.give(job_id)
    before = await ticket_of(rt, job_id)
    await client.version()
    after = await ticket_of(rt, job_id)
    assert after
    assert (after == before) == lent_anew
    assert time.time() - ticket.issued_at(after.ticket) < HOUR_S


async def held_by(rt: Runtime, job_id: UUID, owner: str) -> None:
    async with rt.db.transaction() as tx:
        assert await tx.leases.acquire(job_id, owner, 60)


async def test_an_api_token_in_line_is_neither_renewed_nor_wiped(rt: Runtime, begin: Begin) -> None:
    session, _ = await begin()
    job_id = await lent(rt, session, 901)
    token = JobTicket(tokenid="root@pam!ci", token_secret="a-uuid")
    earlier = now() - ABSOLUTE_LIFETIME - timedelta(seconds=1)
    async with rt.db.transaction() as tx:
        await tx.tickets.set(job_id, token, session_id=session.id, signed_in_at=earlier)
    assert await job_renewal.renew_due(rt) == 0
    assert await ticket_of(rt, job_id) == token


async def test_twelve_hours_after_the_sign_in_a_run_in_line_waits_for_the_next_one(rt: Runtime, begin: Begin) -> None:
    session, _ = await begin()
    job_id, other_id = await lent(rt, session, 901), await lent(rt, session, 902)
    async with rt.db.transaction() as tx:
        ticket = JobTicket(session.ticket, session.csrf_token)
        earlier = now() - ABSOLUTE_LIFETIME - timedelta(seconds=1)
        await tx.tickets.set(job_id, ticket, session_id=session.id, signed_in_at=earlier)
    await job_renewal.renew_due(rt)
    run = await run_of(rt, job_id)
    assert (run.state, run.ticket_enc) == (JobState.WAITING.value, None)
    assert (await run_of(rt, other_id)).state == JobState.QUEUED.value


async def test_what_an_ended_session_lent_is_wiped_when_postgresql_is_back(
    rt: Runtime, begin: Begin, redis: Redis
) -> None:
    session, _ = await begin()
    job_id = await lent(rt, session, 901)
    await redis.delete(sessions._identity_key(session.key))  # the end of the session was interrupted here
    await rt.bus.add_member(sessions.ENDED_KEY, str(session.id), ttl_s=60)
    await sign_in.renew_due(rt)
    assert await ticket_of(rt, job_id) is None
    assert (await run_of(rt, job_id)).state == JobState.WAITING.value
    assert await redis.exists(sessions.ENDED_KEY) == 0


async def test_a_run_whose_ticket_cannot_be_read_hinders_no_other(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    broken, whole = await lent(rt, session, 901), await lent(rt, session, 902)
    async with rt.db.transaction() as tx:
        (found,) = [one for one in await tx.tickets.lent(UUID(int=0), 10) if one.job_id == whole]
        (await tx.jobs.get(broken)).ticket_enc = found.sealed
    assert await job_renewal.renew_due(rt) == 1


@pytest.mark.parametrize("error", [RuntimeError("frobnicated"), ConflictError("frobnicated")])
async def test_what_nobody_expected_of_one_run_hides_no_other(
    rt: Runtime, begin: Begin, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    session, _ = await begun_ago(begin, sandbox, 1.1 * HOUR_S)
    broken, whole = await lent(rt, session, 901), await lent(rt, session, 902)
    before, renew = await ticket_of(rt, whole), job_renewal._renew

    async def renew_one(rt: Runtime, lent: LentTicket, present: JobTicket) -> bool:
        if lent.job_id == broken:
            raise error
        return await renew(rt, lent, present)

    monkeypatch.setattr(job_renewal, "_renew", renew_one)
    with capture_logs() as logged:
        assert await job_renewal.renew_due(rt) == 1
    assert [line["job_id"] for line in logged if line["event"] == "ticket of a job not looked at"] == [str(broken)]
    assert await ticket_of(rt, whole) != before
