"""Faults: the errors that a client sees, and normal answers after each fault ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import DEADLINE_S, Session, signed_in, until


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Session]:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=0) as node, signed_in(node) as session:
        yield session


async def test_an_offline_node_answers_595_without_a_body(it: Session) -> None:
    it.node.node_offline("pve2")
    answer = await it.http.get("/nodes/pve2/lxc")
    assert (answer.status_code, answer.reason_phrase, answer.content) == (595, "No route to host", b"")
    assert {item["node"]: item["status"] for item in await it.data("/nodes")}["pve2"] == "offline"
    it.node.heal()
    assert await it.data("/nodes/pve2/lxc")


async def test_without_pvedaemon_its_calls_get_595_at_once_and_pveproxy_still_answers(it: Session) -> None:
    it.node.pvedaemon_down("pve1")
    start, sign_in = "/nodes/pve1/lxc/101/status/start", "/access/ticket"
    for method, path in (("GET", "/nodes/pve1/lxc"), ("POST", start), ("POST", sign_in)):
        answer = await it.http.request(method, path, data={"username": "root@pam"} if path == sign_in else None)
        assert (answer.status_code, answer.reason_phrase, answer.content) == (595, "Connection refused", b""), path
    for path in ("/version", "/cluster/resources", "/cluster/tasks", "/nodes/pve1/lxc/101/config", "/nodes/pve2/lxc"):
        assert await it.data(path) is not None
    it.node.heal()
    assert await it.data("/nodes/pve1/lxc")


async def test_without_its_cluster_filesystem_every_call_is_refused_in_the_status_line_alone(it: Session) -> None:
    it.node.filesystem_down()
    for path in ("/version", "/nodes/pve1/lxc"):
        answer = await it.http.get(path)
        assert (answer.status_code, answer.content) == (500, b"")
        assert answer.reason_phrase.startswith("RPCEnvironment init request failed: ")
    it.node.heal()
    assert await it.data("/version")


async def test_slow_answers_come_late(it: Session) -> None:
    it.node.slow(0.2)
    started = time.monotonic()
    await it.data("/version")
    assert time.monotonic() - started >= 0.2


async def test_a_share_of_requests_is_dropped(it: Session) -> None:
    it.node.drop(0.5, seed=7)
    lost = 0
    for _ in range(40):
        try:
            await it.data("/version")
        except httpx.TransportError:
            lost += 1
    assert 5 < lost < 35


async def test_a_mute_node_accepts_and_never_answers(it: Session) -> None:
    it.node.mute()
    waiting = asyncio.create_task(it.http.get("/version"))
    await until(lambda: it.node.faults.unanswered)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.3)
    it.node.mute(muted=False)
    with pytest.raises(httpx.TransportError):
        await waiting
    await it.data("/version")


@pytest.mark.parametrize(("before", "status"), [(True, "running"), (False, "stopped")])
async def test_a_write_is_lost_before_or_after_it_took_effect(it: Session, before: bool, status: str) -> None:
    it.node.lose_write("/101/status/stop", before=before)
    with pytest.raises(httpx.TransportError):
        await it.post("/nodes/pve1/lxc/101/status/stop")
    assert (await it.data("/nodes/pve1/lxc/101/status/current"))["status"] == status


async def test_a_task_hangs_until_it_is_stopped(it: Session) -> None:
    it.node.hang_task("vzstop")
    upid = await it.post("/nodes/pve1/lxc/101/status/stop")
    path = f"/nodes/pve1/tasks/{upid}"
    assert (await it.data(path + "/status"))["status"] == "running"
    assert [task["upid"] for task in await it.data("/nodes/pve1/tasks", source="active")] == [upid]
    await it.write("DELETE", path)
    assert await it.end_of(upid) == "received interrupt"
    assert await it.run("/nodes/pve1/lxc/101/status/stop") == "OK"


async def test_a_create_that_is_stopped_leaves_nothing(it: Session) -> None:
    it.node.api.time_scale = 10
    upid = await it.create(950)
    assert set(await it.data("/nodes/pve1/lxc/950/config")) == {"lock", "digest"}
    await it.write("DELETE", f"/nodes/pve1/tasks/{upid}")
    end = await it.end_of(upid)
    assert end.startswith("unable to create CT 950 - ")
    assert end.endswith("failed: received interrupt")
    assert (await it.refusal("GET", "/nodes/pve1/lxc/950/config"))[0] == 500
    assert await it.data("/cluster/nextid", vmid=950) == "950"


async def test_a_locked_guest_refuses_until_it_is_unlocked(it: Session) -> None:
    it.node.lock_guest(101, "snapshot")
    assert await it.run("/nodes/pve1/lxc/101/status/stop") == "CT is locked (snapshot)"
    assert await it.refusal("DELETE", "/nodes/pve1/lxc/101") == (500, "CT is locked (snapshot)")
    it.node.unlock_guest(101)
    assert await it.run("/nodes/pve1/lxc/101/status/stop") == "OK"


async def test_a_full_storage_fails_the_create_and_keeps_the_vmid_free(it: Session) -> None:
    it.node.fill_storage("local-lvm")
    end = await it.end_of(await it.create(950))
    assert "insufficient free space on storage 'local-lvm'" in end
    assert await it.data("/cluster/nextid", vmid=950) == "950"
    it.node.empty_storage("local-lvm")
    assert await it.end_of(await it.create(950)) == "OK"


async def test_without_quorum_nothing_is_created(it: Session) -> None:
    it.node.lose_quorum()
    form = {"vmid": 950, "ostemplate": "local:vztmpl/x_amd64.tar.zst"}
    assert await it.refusal("POST", "/nodes/pve1/lxc", **form) == (500, "cluster not ready - no quorum?")
    it.node.heal()
    assert await it.end_of(await it.create(950)) == "OK"


async def test_a_request_fails_with_a_chosen_status(it: Session) -> None:
    it.node.fail("GET", "/cluster/resources", 500, "got timeout", times=1)
    assert await it.refusal("GET", "/cluster/resources") == (500, "got timeout")
    await it.data("/cluster/resources")


async def test_closing_does_not_wait_for_those_it_never_answers(tmp_path: Path) -> None:
    node = SandboxNode(tmp_path, time_scale=0)
    await node.start()
    async with signed_in(node) as it:
        node.mute()
        waiting = asyncio.create_task(it.http.get("/version"))
        await until(lambda: node.faults.unanswered)
        started = time.monotonic()
        await node.close()
        assert time.monotonic() - started < DEADLINE_S
        with pytest.raises(httpx.TransportError):
            await waiting
