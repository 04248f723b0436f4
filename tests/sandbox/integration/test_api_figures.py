"""Figures that change, lists with PVE's delay, and history with gaps."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pve_sandbox.api.figures import GIB, Limits, figures_at
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import Session, signed_in, until

NEVER_S = 3600.0
QUICK = 2  # factor of the time to write and read such an answer; a little over half of it is usual
LIMITS = Limits(4, 2 * GIB, 16 * GIB)


async def resource(it: Session, vmid: int) -> dict[str, Any]:
    return next(item for item in await it.data("/cluster/resources", type="vm") if item["vmid"] == vmid)


async def test_the_cluster_list_lags_and_the_node_does_not(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=NEVER_S) as node, signed_in(node) as it:
        before = await resource(it, 101)
        assert await it.run("/nodes/pve1/lxc/101/status/stop") == "OK"
        assert await resource(it, 101) == before
        assert (await it.data("/nodes/pve1/lxc/101/status/current"))["status"] == "stopped"
        here = {guest["vmid"]: guest["status"] for guest in await it.data("/nodes/pve1/lxc")}
        assert here[101] == "stopped"
        assert (await it.data("/cluster/tasks"))[0]["type"] == "vzstop"
        await node.api.take_statistics()
        assert (await resource(it, 101))["status"] == "stopped"


async def test_tags_lock_and_new_guests_are_in_the_cluster_list_at_once(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=NEVER_S) as node, signed_in(node) as it:
        await it.write("PUT", "/nodes/pve1/lxc/101/config", tags="fresh")
        node.lock_guest(101, "backup")
        assert await it.end_of(await it.create(900)) == "OK"
        item = await resource(it, 101)
        assert (item["tags"], item["lock"]) == ("fresh", "backup")
        assert (await resource(it, 900)) == {
            "id": "lxc/900", "vmid": 900, "type": "lxc", "node": "pve1", "status": "unknown"
        }  # fmt: skip


async def test_statistics_are_taken_again_and_again(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=0.05) as node, signed_in(node) as it:
        first = await resource(it, 101)

        async def moved() -> bool:
            now = await resource(it, 101)
            return bool(now["cpu"] != first["cpu"] and now["netin"] > first["netin"])

        await until(moved)
        node.freeze_statistics()
        await it.run("/nodes/pve1/lxc/101/status/stop")
        await node.api.take_statistics()
        assert (await resource(it, 101))["status"] == "running"


async def test_guests_of_an_offline_node_keep_their_state_for_a_while_and_are_then_unknown(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0.001, stats_interval_s=NEVER_S) as node, signed_in(node) as it:
        node.node_offline("pve1")
        await node.api.take_statistics()
        assert (await resource(it, 101))["status"] == "running"
        node.api.gone_since["pve1"] -= 1
        await node.api.take_statistics()
        assert (await resource(it, 101))["status"] == "unknown"


async def test_an_hour_of_history_fits_the_live_figures(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        points = await it.data("/nodes/pve1/lxc/101/rrddata", timeframe="hour")
        assert len(points) == 60
        assert [b["time"] - a["time"] for a, b in itertools.pairwise(points)] == [60] * 59
        whole = [point for point in points if len(point) > 1]
        current = await it.data("/nodes/pve1/lxc/101/status/current")
        assert all(0 < point["cpu"] <= 1 and point["maxmem"] == current["maxmem"] for point in whole)
        assert all(point["netin"] > 0 for point in whole[1:])
        stopped = await it.data("/nodes/pve3/lxc/112/rrddata", timeframe="hour")
        assert all(set(point) == {"time"} for point in stopped)


async def test_a_day_of_history_has_the_hole_of_the_night(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        points = await it.data("/nodes/pve1/rrddata", timeframe="day")
        assert len(points) == 1440
        holes = [point for point in points if set(point) == {"time"}]
        assert len(holes) == 15
        assert all({"cpu", "memused", "netin", "rootused"} <= set(point) for point in points if len(point) > 1)


@pytest.mark.parametrize("timeframe", ["week", "month", "year"])
async def test_longer_history_is_there(timeframe: str, tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        assert len(await it.data("/nodes/pve1/storage/local/rrddata", timeframe=timeframe)) > 300


@given(vmid=st.integers(100, 999_999), now=st.floats(1.7e9, 1.9e9), uptime=st.floats(0, 1e8), later=st.floats(1, 1e5))
def test_counters_never_fall_and_shares_stay_shares(vmid: int, now: float, uptime: float, later: float) -> None:
    first, second = figures_at(vmid, now, uptime, LIMITS), figures_at(vmid, now + later, uptime + later, LIMITS)
    for name in ("netin", "netout", "diskread", "diskwrite"):
        assert 0 <= getattr(first, name) <= getattr(second, name)
    assert 0 < first.cpu <= 1
    assert 0 < first.mem < LIMITS.memory_bytes
    assert 0 < first.disk < LIMITS.disk_bytes


async def test_five_thousand_containers_are_listed_quickly(tmp_path: Path) -> None:
    demo = DemoCluster(nodes=16, containers=5000)
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=NEVER_S, demo=demo) as node, signed_in(node) as it:
        times, yardstick = [], []
        for _ in range(5):
            started = time.process_time()
            answer = await it.http.get("/cluster/resources", headers={"Accept-Encoding": "identity"})
            times.append(time.process_time() - started)
            started = time.process_time()
            json.dumps(json.loads(answer.content))
            yardstick.append(time.process_time() - started)
        assert sum(item["type"] == "lxc" for item in answer.json()["data"]) == 5000
        assert min(times) < QUICK * min(yardstick)


async def test_a_cluster_may_be_empty(tmp_path: Path) -> None:
    demo = DemoCluster(nodes=1, containers=0)
    async with SandboxNode(tmp_path, time_scale=0, demo=demo) as node, signed_in(node) as it:
        assert await it.data("/nodes/pve1/lxc") == []
        assert await it.data("/cluster/nextid") == "100"
        assert [item["type"] for item in await it.data("/cluster/status")] == ["node"]
