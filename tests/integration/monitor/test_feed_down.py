"""What the feed shows while a node is down or PVE never answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.request import request
from pve_sandbox.node import SandboxNode
from tests.integration.monitor.conftest import SignIn
from tests.integration.monitor.viewers import PATIENCE_S, Seen, hub_of, looking


def down(seen: Seen) -> list[str]:
    return [node["name"] for node in seen.meta["nodes"] if node["down"]]


async def test_whoever_polls_next_knows_since_when_a_node_is_down(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    sandbox.node_offline("pve2")
    first, second = Seen(), Seen()
    session = await sign_in(rt, "root@pam")
    async with hub_of(rt, first) as hub:
        await looking(hub, session, first)
        told = [node for node in first.meta["nodes"] if node["down"]]
    assert [(node["name"], node["longer"]) for node in told] == [("pve2", True)]
    async with hub_of(rt, second) as hub:
        await looking(hub, session, second)
        before = second.v
        await second.until(lambda: second.v > before)
        assert [node["down"] for node in second.meta["nodes"] if node["down"]] == [told[0]["down"]]


async def test_guests_of_a_node_that_is_down_are_unknown_and_the_rest_is_there(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 0.2)
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.TASKS_EVERY_S", 0.2)
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
        sandbox.node_offline("pve2")
        await seen.until(lambda: down(seen) == ["pve2"])
    (node,) = [node for node in seen.meta["nodes"] if node["down"]]
    assert abs(node["down"] - time.time()) < PATIENCE_S
    assert not node["longer"], "it was seen to go"
    assert node["containers"] == sum(row["node"] == "pve2" for row in seen.rows.values())
    for row in seen.rows.values():
        assert (row["status"] == "unknown") == (row["node"] == "pve2")


def silent(seen: Seen) -> list[str]:
    return [node["name"] for node in seen.meta["nodes"] if node["silent"]]


async def test_a_pvedaemon_that_is_down_is_told_while_all_else_of_pve_answers(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 0.2)
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.TASKS_EVERY_S", 0.2)
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "viewer@pve"), seen)
        sandbox.pvedaemon_down("pve2")
        await seen.until(lambda: silent(seen) == ["pve2"])
        assert (seen.meta["error"], down(seen), len(seen.rows)) == ("", [], 12)
        sandbox.heal()
        await seen.until(lambda: silent(seen) == [])


async def test_an_act_that_pvedaemon_does_not_take_tells_of_it_at_once(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 3600.0)
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        await seen.until(lambda: bool(asked(sandbox, "/lxc")))
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["status"] == "stopped")
        sandbox.pvedaemon_down(row["node"])
        guest = Guest(int(vmid), row["node"], name=row["name"])
        acting = asyncio.create_task(engine.run(rt, await request(rt, session, Power.START.act, guest)))
        await seen.until(lambda: silent(seen) == [row["node"]])
        assert not acting.done()
        acting.cancel()
        await asyncio.wait([acting])


def asked(sandbox: SandboxNode, path: str) -> list[str]:
    return [found for _, found, _ in sandbox.api.requests if found.endswith(path)]


async def test_a_session_whose_ticket_pve_refuses_is_ended_by_the_next_look(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub, rt.bus.listen(sessions.ENDED_CHANNEL) as ended:
        await looking(hub, session, seen)
        sandbox.expire_tickets()
        async with asyncio.timeout(PATIENCE_S):
            _, told = await anext(aiter(ended))
    assert told.decode() == str(session.id)
    assert not await sessions.is_open(rt, session.key)


async def test_a_page_that_was_opened_before_its_ticket_was_renewed_polls_with_the_new_one(
    rt: Runtime, sign_in: SignIn
) -> None:
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, replace(session, ticket="PVE:root@pam:0:of long ago"), seen)
    assert len(seen.rows) == 12
    assert await sessions.is_open(rt, session.key)


async def test_when_pve_never_answers_the_cause_is_named_and_the_rows_stay(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
        sandbox.mute()
        await seen.until(lambda: bool(seen.meta.get("error")))
        assert "cannot be reached" in seen.meta["error"] or "does not answer" in seen.meta["error"]
        assert abs(seen.meta["failing"] - time.time()) < PATIENCE_S
        assert len(seen.rows) == 12
        sandbox.mute(muted=False)
        await seen.until(lambda: not seen.meta["error"])
