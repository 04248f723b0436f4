"""What viewers are told while a node is down, or PVE never answers."""

from __future__ import annotations

import time

import pytest

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.sandbox.node import SandboxNode
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
