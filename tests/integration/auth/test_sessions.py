from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis

from lxc_dashboard.errors import PrivilegeError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, privileges, sessions, sign_in
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, IDLE_LIFETIME, Session
from pve_sandbox.node import SandboxNode
from tests.integration.auth.conftest import Begin

HOUR_S = 3600.0
PATIENCE_S = 60


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def age(rt: Runtime, session: Session, by: timedelta) -> None:
    """Rewrite the stored session as if the sign-in had been earlier."""
    older = replace(session, signed_in_at=session.signed_in_at - by)
    identity = sessions._Identity(**{name: getattr(older, name) for name in sessions._Identity.__struct_fields__})
    sealed = sessions._sealed(rt, session.key, "identity", msgspec.json.encode(identity))
    await rt.bus.set(sessions._identity_key(session.key), sealed, ttl_s=60)


async def test_a_session_is_found_by_its_cookie_and_by_nothing_else(rt: Runtime, begin: Begin) -> None:
    session, cookie = await begin()
    assert await sessions.find(rt, cookie) == session
    for other in (
        "",
        "x",
        session.key,
        str(session.id),
        cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        cookie + "A",
    ):
        assert await sessions.find(rt, other) is None


async def test_redis_holds_neither_cookie_nor_ticket_nor_user(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, cookie = await begin()
    stored = [
        await redis.get(key)
        for key in [key async for key in redis.scan_iter("*")]
        if await redis.type(key) == b"string"
    ]
    everything = b" ".join([*stored, *[key async for key in redis.scan_iter("*")]])
    assert len(stored) == 2
    for secret in (cookie, session.ticket, session.csrf_token):
        assert secret.encode() not in everything
    assert session.key.encode() in everything


async def test_two_sign_ins_are_two_sessions(rt: Runtime, begin: Begin) -> None:
    (first, one), (second, two) = await begin(), await begin()
    assert first.id != second.id
    assert one != two
    assert [found.id for found in await sessions.list_of(rt, first.endpoint_id, "root@pam")] == [second.id, first.id]


async def test_who_asks_for_nothing_may_use_a_session_until_it_has_ended(
    rt: Runtime, begin: Begin, redis: Redis
) -> None:
    session, cookie = await begin()
    keys = [sessions._identity_key(session.key), sessions._ticket_key(session.key)]
    for key in keys:
        await redis.expire(key, 100)
    await sessions.use(rt, session.key)
    assert min([await redis.ttl(key) for key in keys]) > 100
    await sessions.end(rt, session)
    await sessions.use(rt, session.key)
    assert await sessions.find(rt, cookie) is None


async def test_a_use_prolongs_a_session_to_two_hours_again(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, cookie = await begin()
    keys = [sessions._identity_key(session.key), sessions._ticket_key(session.key)]
    for key in keys:
        await redis.expire(key, 100)
    assert await sessions.find(rt, cookie, used=False)
    assert max([await redis.ttl(key) for key in keys]) <= 100
    assert await sessions.find(rt, cookie)
    assert min([await redis.ttl(key) for key in keys]) > IDLE_LIFETIME.total_seconds() - PATIENCE_S


async def test_an_idle_session_is_gone(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, cookie = await begin()
    await redis.pexpire(sessions._identity_key(session.key), 1)
    await asyncio.wait_for(_until_gone(redis, sessions._identity_key(session.key)), PATIENCE_S)
    assert await sessions.find(rt, cookie) is None
    assert await sessions.list_of(rt, session.endpoint_id, "root@pam") == []


async def _until_gone(redis: Redis, key: str) -> None:
    while await redis.exists(key):
        await asyncio.sleep(0.005)


async def test_twelve_hours_after_the_sign_in_it_ends_whatever_it_does(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, cookie = await begin()
    await age(rt, session, ABSOLUTE_LIFETIME - timedelta(seconds=50))
    assert await sessions.find(rt, cookie)
    assert await redis.ttl(sessions._identity_key(session.key)) <= 50
    await age(rt, session, ABSOLUTE_LIFETIME)
    assert await sessions.find(rt, cookie) is None


async def test_a_blob_moved_to_another_sessions_place_opens_nothing(rt: Runtime, begin: Begin, redis: Redis) -> None:
    (mine, my_cookie), (theirs, _) = await begin("viewer@pve"), await begin("root@pam")
    stolen = await redis.get(sessions._identity_key(theirs.key))
    await redis.set(sessions._identity_key(mine.key), stolen or b"")
    assert await sessions.find(rt, my_cookie) is None


async def test_an_ended_session_is_gone_at_once_and_announced(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, cookie = await begin()
    async with rt.bus.listen(sessions.ENDED_CHANNEL) as heard:
        await sessions.end(rt, session)
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(heard) == (sessions.ENDED_CHANNEL, str(session.id).encode())
    assert await sessions.find(rt, cookie) is None
    assert [key async for key in redis.scan_iter("*")] == []


async def test_all_sessions_of_a_user_end_and_nobody_elses(rt: Runtime, begin: Begin) -> None:
    (_, one), (_, two), (_, other) = await begin(), await begin(), await begin("viewer@pve")
    endpoint_id = (await sessions.find(rt, one) or pytest.fail("no session")).endpoint_id
    assert await sessions.end_all(rt, endpoint_id, "root@pam") == 2
    assert await sessions.find(rt, one) is None
    assert await sessions.find(rt, two) is None
    assert await sessions.find(rt, other)


async def test_one_session_too_many_ends_the_users_longest_unused_one_and_nobody_elses(
    rt: Runtime, begin: Begin, redis: Redis
) -> None:
    others, _ = await begin("viewer@pve")
    mine = [(await begin())[0] for _ in range(sessions.SESSIONS_PER_USER)]
    assert all([await sessions.is_open(rt, session.key) for session in mine])
    unused, ended_by_time = mine[7], mine[9]
    await redis.expire(sessions._identity_key(unused.key), 3600)
    newest, _ = await begin()
    open_now = [session for session in mine if await sessions.is_open(rt, session.key)]
    assert open_now == [session for session in mine if session is not unused]
    await redis.delete(sessions._identity_key(ended_by_time.key))
    await begin()
    assert len(await sessions.list_of(rt, newest.endpoint_id, newest.userid)) == sessions.SESSIONS_PER_USER
    assert await sessions.is_open(rt, newest.key)
    assert await sessions.is_open(rt, others.key)


async def test_a_ticket_past_half_its_life_is_renewed_once_however_many_ask(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    began = time.time()
    session, cookie = await begin(issued_at=began - 1.5 * HOUR_S)
    sandbox.slow(0.3)
    found = await asyncio.gather(*(sessions.find(rt, cookie) for _ in range(20)))
    (renewed,) = {one.ticket for one in found if one and one.ticket_issued_at >= began}
    assert all(found)
    kept = await sessions.find(rt, cookie)
    assert kept
    assert kept.ticket == renewed
    assert kept.signed_in_at == session.signed_in_at


async def test_a_renewal_that_fails_leaves_the_session_as_it_was(
    rt: Runtime, begin: Begin, sandbox: SandboxNode
) -> None:
    session, cookie = await begin(issued_at=time.time() - 1.5 * HOUR_S)
    await sandbox.close()
    assert await sessions.find(rt, cookie) == session
    assert await sessions.find(rt, cookie) == session


async def test_a_young_ticket_and_a_dead_one_are_left_alone(rt: Runtime, begin: Begin) -> None:
    for hours in (0.5, 2.5):
        session, cookie = await begin(issued_at=time.time() - hours * HOUR_S)
        assert await sessions.find(rt, cookie) == session


async def test_a_ticket_renewed_while_the_session_ended_is_not_kept(rt: Runtime, begin: Begin, redis: Redis) -> None:
    session, _ = await begin()
    await sessions.end(rt, session)
    await sessions.keep_ticket(rt, session, "new", "new")
    assert [key async for key in redis.scan_iter("*")] == []


async def test_calls_to_pve_are_made_as_the_sessions_user(rt: Runtime, begin: Begin) -> None:
    root, _ = await begin()
    viewer, _ = await begin("viewer@pve")
    assert "VM.Allocate" in await (await acting.client(rt, root)).access.permissions("/vms/101")
    assert "VM.Allocate" not in await (await acting.client(rt, viewer)).access.permissions("/vms/101")


async def test_a_long_lived_client_stores_the_ticket_that_it_renewed(rt: Runtime, begin: Begin) -> None:
    began = time.time()
    session, cookie = await begin(issued_at=began - 1.5 * HOUR_S)
    await (await acting.client(rt, session)).version()
    kept = await sessions.find(rt, cookie)
    assert kept
    assert kept.ticket_issued_at >= began


async def test_a_missing_privilege_is_named_with_its_path(rt: Runtime, begin: Begin) -> None:
    root, _ = await begin()
    viewer, _ = await begin("viewer@pve")
    await privileges.require(rt, root, "/vms/101", "VM.Console", "VM.Config.Options")
    with pytest.raises(PrivilegeError) as refused:
        await privileges.require(rt, viewer, "/vms/101", "VM.Audit", "VM.Console")
    assert (refused.value.privilege, refused.value.path) == ("VM.Console", "/vms/101")


async def test_a_session_whose_ticket_pve_refuses_is_ended(
    rt: Runtime, begin: Begin, sandbox: SandboxNode, endpoint_id: UUID
) -> None:
    session, cookie = await begin()
    assert await sign_in.verify(rt, session)
    sandbox.expire_tickets()
    with pytest.raises(SessionExpiredError):
        await (await acting.client(rt, session)).version()
    assert not await sign_in.verify(rt, session)
    assert await sessions.find(rt, cookie) is None
    assert await sessions.list_of(rt, endpoint_id, "root@pam") == []
