from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lxc_dashboard.errors import ApiError, ConflictError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.sandbox.node import SandboxNode
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import lifecycle
from lxc_dashboard.services.containers.lifecycle import Act, Guest
from lxc_dashboard.services.monitor.feed import FeedHub, feed_key
from tests.integration.monitor.conftest import SignIn

PATIENCE_S = 20


@dataclass
class Seen:
    """A viewer that merges what it is told, as the page does."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    v: int = 0
    missed: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, body: bytes) -> None:
        snapshot = json.loads(gzip.decompress(body))
        self.rows, self.meta, self.v = snapshot["rows"], snapshot["meta"], snapshot["v"]

    async def patch(self, _key: str, patch: dict[str, Any]) -> None:
        if patch["v"] <= self.v:
            return
        if self.v and patch["prev"] != self.v:
            self.missed.append(patch["prev"])
        for vmid, fields in patch["rows"].items():
            self.rows[vmid] = {**self.rows.get(vmid, {}), **fields}
        for vmid in patch["gone"]:
            self.rows.pop(str(vmid), None)
        self.meta.update(patch["meta"] or {})
        self.v = patch["v"]
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def hub_of(rt: Runtime, seen: Seen) -> AsyncIterator[FeedHub]:
    there: set[str] = {"socket"}
    hub = FeedHub(rt, seen.patch, there.__contains__)
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def looking(hub: FeedHub, session: Session, seen: Seen) -> None:
    """With all rows: a snapshot waits for 5 s, then it gives what there is."""
    hub.watch(session, "socket")
    seen.start(await hub.snapshot(session))
    await seen.until(lambda: bool(seen.rows))


def requests(sandbox: SandboxNode, path: str) -> int:
    return sum(1 for _, asked, _ in sandbox.api.requests if asked.endswith(path))


async def test_a_viewer_gets_every_container_and_its_figures(rt: Runtime, sign_in: SignIn) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
    assert len(seen.rows) == 12
    web = next(row for row in seen.rows.values() if row["name"] == "web-01")
    assert (web["status"], web["tags"], web["pool"]) == ("running", ["web"], "production")
    assert web["maxmem"] == 2048 * 1024 * 1024
    assert [(node["name"], node["down"]) for node in seen.meta["nodes"]] == [("pve1", 0), ("pve2", 0), ("pve3", 0)]
    assert sum(node["containers"] for node in seen.meta["nodes"]) == 12
    assert seen.meta["version"].startswith("9")


async def test_what_somebody_else_does_in_pve_shows_though_the_list_lags(rt: Runtime, sign_in: SignIn) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        session = await sign_in(rt, "root@pam")
        await looking(hub, session, seen)
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["status"] == "stopped")
        other = await sign_in(rt, "operator@pve")
        await lifecycle_request(rt, other, int(vmid), row["node"])
        await seen.until(lambda: seen.rows[vmid]["status"] == "running" and not seen.rows[vmid]["busy"])


async def test_what_runs_in_pve_is_told_until_it_ends(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.TASKS_EVERY_S", 0.2)
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        session = await sign_in(rt, "root@pam")
        await looking(hub, session, seen)
        assert (seen.meta["tasks"], hub.known(session)[1]["tasks"]) == ([], [])
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["status"] == "stopped")
        sandbox.hang_task("vzstart")
        client = await acting.client(rt, session)
        upid = await client.lxc.start(row["node"], int(vmid))
        await seen.until(lambda: bool(seen.meta["tasks"]))
        [task] = seen.meta["tasks"]
        assert (task["upid"], task["type"], task["id"], task["user"]) == (upid, "vzstart", vmid, "root@pam")
        assert hub.known(session)[1]["tasks"] == [task]
        await client.tasks.stop(upid)
        await seen.until(lambda: seen.meta["tasks"] == [])


async def lifecycle_request(rt: Runtime, session: Session, vmid: int, node: str) -> None:
    client = await acting.client(rt, session)
    await client.tasks.wait(await client.lxc.start(node, vmid), deadline_s=PATIENCE_S)


async def test_an_act_of_ours_is_done_shown_and_audited(rt: Runtime, sign_in: SignIn) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        session = await sign_in(rt, "operator@pve")
        await looking(hub, session, seen)
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["name"] == "web-01")
        said = await lifecycle.act(rt, session, Guest(int(vmid), row["node"], "web-01"), Act.STOP)
        assert said == f"Stopped CT {vmid} web-01"
        await seen.until(lambda: seen.rows[vmid]["status"] == "stopped")
    async with rt.db.transaction() as tx:
        (entry,) = await tx.audit.list(action="container.stop")
    assert (entry.userid, entry.result, entry.subject) == ("operator@pve", "ok", f"CT {vmid} web-01")


async def test_what_ha_does_later_is_waited_for(rt: Runtime, sandbox: SandboxNode, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    held = next(guest for guest in sandbox.api.cts if guest.status == "running")
    held.ha_state, sandbox.api.ha_delay = "started", 1 / sandbox.api.time_scale
    guest = Guest(held.vmid, held.node, "kept")
    for act, said, status in ((Act.STOP, "Stopped", "stopped"), (Act.START, "Started", "running")):
        assert await lifecycle.act(rt, session, guest, act) == f"{said} CT {held.vmid} kept"
        assert held.status == status


async def test_an_act_without_the_privilege_is_refused_by_pve_and_audited(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "viewer@pve")
    with pytest.raises(PrivilegeError) as caught:
        await lifecycle.act(rt, session, Guest(101, "pve2", "x"), Act.STOP)
    assert caught.value.privilege == "VM.PowerMgmt"
    async with rt.db.transaction() as tx:
        (entry,) = await tx.audit.list(action="container.stop")
    assert entry.result == "refused"


async def test_the_same_button_twice_acts_once(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    client = await acting.client(rt, session)
    stopped = next(guest for guest in await client.cluster.resources("vm") if guest.status == "stopped")
    guest = Guest(stopped.vmid, stopped.node, "twice")
    results = await asyncio.gather(
        lifecycle.act(rt, session, guest, Act.START),
        lifecycle.act(rt, session, guest, Act.START),
        return_exceptions=True,
    )
    assert [isinstance(result, str) for result in results].count(True) == 1
    assert any(isinstance(result, ConflictError | ApiError) for result in results)


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


async def test_a_container_that_starts_is_counted_with_its_node_at_once(
    rt: Runtime, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 3600.0)
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["status"] == "stopped")
        counted = {node["name"]: node["running"] for node in seen.meta["nodes"]}
        await lifecycle_request(rt, session, int(vmid), row["node"])
        await seen.until(lambda: {node["name"]: node["running"] for node in seen.meta["nodes"]} != counted)
    counted[row["node"]] += 1
    assert {node["name"]: node["running"] for node in seen.meta["nodes"]} == counted


async def test_the_nodes_alone_come_from_the_same_feed(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 3600.0)
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        found = json.loads(await hub.glance(session))
    assert "rows" not in found
    assert found["v"] >= seen.v
    assert [node["name"] for node in found["meta"]["nodes"]] == ["pve1", "pve2", "pve3"]
    assert requests(sandbox, "/cluster/resources") == 1


async def test_guests_of_a_node_that_is_down_are_unknown_and_the_rest_is_there(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
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


async def test_two_processes_poll_once_and_the_second_goes_on_when_the_first_ends(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 3600.0)
    first, second = Seen(), Seen()
    session = await sign_in(rt, "root@pam")
    async with hub_of(rt, second) as other:
        async with hub_of(rt, first) as hub:
            await looking(hub, session, first)
            await looking(other, session, second)
            assert second.rows == first.rows
            await first.until(lambda: first.v >= second.v)
            assert requests(sandbox, "/cluster/resources") == 1
        before = second.v
        await second.until(lambda: second.v > before)
    assert first.missed == second.missed == [], "who polls next goes on from the last patch"


async def test_a_replica_that_missed_patches_begins_anew_and_is_right(
    rt: Runtime, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.TASKS_EVERY_S", 0.2)
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        key = feed_key(session.endpoint_id, session.userid)
        vmid, row = next(iter(hub._replicas[key].rows.items()))
        lost = {"v": hub._replicas[key].v, "name": row["name"]}
        hub._replicas[key].v -= 1  # as if the last patch had never come
        hub._replicas[key].rows[vmid] = {**row, "name": "as it was"}
        await seen.until(
            lambda: hub._replicas[key].v > lost["v"] and hub._replicas[key].rows[vmid]["name"] == lost["name"]
        )


async def test_nothing_is_asked_of_pve_when_nobody_looks(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.feed.GRACE_S", 0.1)
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
        assert hub.unwatch("socket")
        async with asyncio.timeout(PATIENCE_S):
            while hub.watched or any(task.get_name().startswith("lead") for task in asyncio.all_tasks()):
                await asyncio.sleep(0.05)


async def test_each_user_sees_his_own_list(rt: Runtime, sign_in: SignIn, sandbox: SandboxNode) -> None:
    root, viewer = Seen(), Seen()
    async with hub_of(rt, root) as one, hub_of(rt, viewer) as two:
        root_session, viewer_session = await sign_in(rt, "root@pam"), await sign_in(rt, "viewer@pve")
        assert one.watch(root_session, "socket") != two.watch(viewer_session, "socket")
        viewer.start(await two.snapshot(viewer_session))
        await viewer.until(lambda: bool(viewer.rows))
    assert len(viewer.rows) == 12
