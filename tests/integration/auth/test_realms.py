"""Realms for the sign-in page: PVE is asked once for many requests, and a silent PVE is waited for once."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from lxc_dashboard.errors import NotFoundError, ProxmoxError, TlsError, UnreachableError
from lxc_dashboard.proxmox.client import Endpoint, ProxmoxClient, ProxmoxPool
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints
from pve_sandbox.node import SandboxNode
from tests.integration.endpoints import endpoint_of

VIEWS = 50


async def asked(rt: Runtime, endpoint_id: UUID) -> str:
    """The name of the failure; empty if the realms were read."""
    try:
        await endpoints.realms(rt, endpoint_id)
    except ProxmoxError as error:
        return type(error).__name__
    return ""


@pytest.fixture(autouse=True)
def _long_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep answers long enough for a slow machine."""
    monkeypatch.setattr(endpoints, "HOLD_FOR_S", 600.0)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give PVE enough time to answer on a slow machine."""
    monkeypatch.setattr(endpoints, "ANSWER_WITHIN_S", 60.0)


@pytest.mark.usefixtures("unhurried")
async def test_they_are_the_endpoints_own(rt: Runtime, endpoint_id: UUID) -> None:
    assert {realm.name for realm in await endpoints.realms(rt, endpoint_id)} >= {"pam", "pve"}
    with pytest.raises(NotFoundError):
        await endpoints.realms(rt, uuid4())


@pytest.mark.usefixtures("unhurried")
async def test_many_who_ask_at_once_and_later_ask_pve_once(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions, client = [], rt.pve.client

    def counted(_pool: ProxmoxPool, endpoint: Endpoint) -> ProxmoxClient:
        questions.append(endpoint)
        return client(endpoint)

    monkeypatch.setattr(ProxmoxPool, "client", counted)
    found = await asyncio.gather(*(endpoints.realms(rt, endpoint_id) for _ in range(VIEWS)))
    await sandbox.close()
    assert await endpoints.realms(rt, endpoint_id) == found[0]
    assert len(questions) == 1
    assert not rt.realm_requests


@pytest.mark.usefixtures("unhurried")
async def test_what_was_looked_up_before_the_answer_and_read_after_it_asks_no_second_time(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, first_answered = rt.bus.get, asyncio.Event()
    looks: list[str] = []

    async def read_late(key: str) -> bytes | None:
        looks.append(key)
        found, is_later = await get(key), len(looks) > 1
        if is_later:
            await first_answered.wait()
        return found

    monkeypatch.setattr(rt.bus, "get", read_late)
    first, second = (asyncio.create_task(endpoints.realms(rt, endpoint_id)) for _ in range(2))
    await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    await sandbox.close()
    first_answered.set()
    assert await second == await first
    assert looks


async def test_a_silent_pve_is_waited_for_once_and_then_said_to_be_silent_at_once(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode
) -> None:
    sandbox.mute()
    began = time.monotonic()
    failures = await asyncio.gather(*(asked(rt, endpoint_id) for _ in range(VIEWS)))
    first_s = time.monotonic() - began
    assert set(failures) == {UnreachableError.__name__}
    assert first_s >= endpoints.ANSWER_WITHIN_S
    waited_for = sandbox.faults.unanswered
    assert await asked(rt, endpoint_id) == UnreachableError.__name__
    assert sandbox.faults.unanswered == waited_for <= 1


async def test_who_began_to_ask_may_go_and_the_failure_is_known_all_the_same(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode
) -> None:
    sandbox.mute()
    first = asyncio.create_task(asked(rt, endpoint_id))
    second = asyncio.create_task(asked(rt, endpoint_id))
    while not rt.realm_requests:
        await asyncio.sleep(0)
    first.cancel()
    assert await second == UnreachableError.__name__
    assert not rt.realm_requests


async def test_a_pve_that_is_back_is_asked_again_when_the_failure_is_forgotten(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.mute()
    assert await asked(rt, endpoint_id) == UnreachableError.__name__
    sandbox.mute(False)
    assert await asked(rt, endpoint_id) == UnreachableError.__name__
    async with Redis.from_url(redis_url) as redis:
        assert 0 < await redis.pttl(endpoints._key(endpoint_id)) <= endpoints.HOLD_FOR_S * 1000
        await redis.delete(endpoints._key(endpoint_id))
    monkeypatch.setattr(endpoints, "ANSWER_WITHIN_S", 60.0)
    assert await asked(rt, endpoint_id) == ""


@pytest.mark.usefixtures("unhurried")
async def test_another_certificate_is_told_apart_when_it_is_remembered_too(rt: Runtime, sandbox: SandboxNode) -> None:
    other = endpoint_of(sandbox)
    other.fingerprint = ":".join(["00"] * 32)
    async with rt.db.transaction() as tx:
        await tx.nodes.add(other)
    assert [await asked(rt, other.id) for _ in range(2)] == [TlsError.__name__] * 2


async def test_what_pve_refuses_is_a_failure_of_its_own(
    rt: Runtime, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OddError(ProxmoxError):
        """A failure that the product does not distinguish."""

    def refused(_pool: object, _endpoint: object) -> None:
        raise OddError

    monkeypatch.setattr(ProxmoxPool, "client", refused)
    assert [await asked(rt, endpoint_id) for _ in range(2)] == [ProxmoxError.__name__] * 2
