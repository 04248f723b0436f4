"""What the feed shows of PVE, and which requests it makes to PVE."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest
from msgspec.structs import replace

from lxc_dashboard.bus import BEGINNING
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.monitor.feed import ROWS_A_PATCH, Publisher, feed_key
from lxc_dashboard.services.monitor.replica import Patch, Replica, changed_rows, follow
from lxc_dashboard.services.monitor.rows import Row
from pve_sandbox.node import SandboxNode
from tests.integration.monitor.conftest import SignIn
from tests.integration.monitor.viewers import PATIENCE_S, Seen, hub_of, looking


@pytest.fixture
def polled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The poller keeps its lease, polls once and waits long for the answer, even on a slow machine."""
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 3600.0)
    monkeypatch.setattr("lxc_dashboard.services.monitor.feed.LEASE_S", 3600.0)
    monkeypatch.setattr("lxc_dashboard.services.monitor.feed.ANSWER_WITHIN_S", 60.0)


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
        assert seen.missed == []


@pytest.mark.usefixtures("polled_once")
async def test_a_guest_that_powers_itself_off_shows_though_no_task_says_so(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
        vmid = next(vmid for vmid, row in seen.rows.items() if (row["node"], row["status"]) == ("pve1", "running"))
        sandbox.power_off(int(vmid))
        await seen.until(lambda: seen.rows[vmid]["status"] == "stopped")
    assert seen.meta["tasks"] == []


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


@pytest.mark.usefixtures("polled_once")
async def test_the_nodes_alone_come_from_the_same_feed(rt: Runtime, sign_in: SignIn, sandbox: SandboxNode) -> None:
    seen, session = Seen(), await sign_in(rt, "root@pam")
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        found = json.loads(await hub.nodes(session))
    assert "rows" not in found
    assert found["v"] >= seen.v
    assert [node["name"] for node in found["meta"]["nodes"]] == ["pve1", "pve2", "pve3"]
    assert requests(sandbox, "/cluster/resources") == 1


@pytest.mark.usefixtures("polled_once")
async def test_two_processes_poll_once_and_the_second_goes_on_when_the_first_ends(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
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
        v = hub._replicas[key].v
        hub._replicas[key].v -= 1  # as if the last patch was lost
        hub._replicas[key].rows[vmid] = replace(row, name="as it was")
        await seen.until(lambda: hub._replicas[key].v > v and hub._replicas[key].rows[vmid].name == row.name)


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


@pytest.mark.parametrize("privilege", ["VM.Console", "VM.PowerMgmt"])
async def test_on_which_guests_the_user_holds_a_privilege_is_what_pve_says_of_each(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, privilege: str
) -> None:
    sandbox.api.grant("viewer@pve", "/pool/staging", "VM.Audit", privilege)
    sandbox.api.grant("viewer@pve", "/vms/102", "VM.Audit", privilege)
    for userid, count in (("root@pam", 12), ("operator@pve", 12), ("viewer@pve", 2)):
        seen, session = Seen(), await sign_in(rt, userid)
        client = await acting.client(rt, session)
        async with hub_of(rt, seen) as hub:
            await looking(hub, session, seen)
        usual, others = seen.meta["rights"][privilege]["usual"], seen.meta["rights"][privilege]["others"]
        told = {vmid for vmid in map(int, seen.rows) if usual is not (vmid in others)}
        held = {vmid for vmid in map(int, seen.rows) if privilege in await client.access.permissions(f"/vms/{vmid}")}
        assert (told, len(told)) == (held, count)


async def test_a_node_whose_figures_pve_does_not_tell_has_no_size(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    sandbox.api.grant("viewer@pve", "/vms", "VM.Audit")
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "viewer@pve"), seen)
    assert [(node["down"], node["maxmem"]) for node in seen.meta["nodes"]] == [(0, 0)] * 3


async def test_the_lock_of_a_guest_is_in_its_row(rt: Runtime, sign_in: SignIn, sandbox: SandboxNode) -> None:
    sandbox.lock_guest(102, "backup")
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, await sign_in(rt, "root@pam"), seen)
    assert {vmid: row["lock"] for vmid, row in seen.rows.items() if row["lock"]} == {"102": "backup"}


async def test_a_change_of_many_rows_comes_in_patches_of_a_bounded_size_and_is_shown_when_it_is_whole(
    rt: Runtime,
) -> None:
    endpoint_id = uuid4()
    publisher, replica = (Replica(feed_key(endpoint_id, "root@pam"), endpoint_id) for _ in range(2))
    patches: list[tuple[Patch, bool]] = []

    async def on_patch(_key: str, patch: Patch) -> None:
        patches.append((patch, replica.ready.is_set()))

    replica.last_id = BEGINNING
    following = asyncio.create_task(follow(rt.bus, replica, on_patch))
    try:
        rows = {vmid: Row(vmid, status="running") for vmid in range(2 * ROWS_A_PATCH + 1)}
        await Publisher(rt.bus, publisher).publish(rows, [], {"at": 1.0})
        async with asyncio.timeout(PATIENCE_S):
            await replica.ready.wait()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [len(changed_rows(patch)) for patch, _ in patches] == [ROWS_A_PATCH, ROWS_A_PATCH, 1]
    assert [(patch["meta"], whole) for patch, whole in patches] == [({}, False), ({}, False), ({"at": 1.0}, True)]
    assert replica.rows == rows


async def test_the_poller_and_the_list_of_its_process_share_their_rows(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    replica, told = Replica(feed_key(session.endpoint_id, session.userid), session.endpoint_id), asyncio.Event()

    async def on_patch(_key: str, _patch: Patch) -> None:
        told.set()

    poller = Publisher(rt.bus, replica).poller(await acting.client(rt, session), rt.db)
    tasks = [asyncio.create_task(follow(rt.bus, replica, on_patch)), asyncio.create_task(poller.run())]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not replica.rows or any(poller.rows.get(vmid) is not row for vmid, row in replica.rows.items()):
                await told.wait()
                await asyncio.sleep(0)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(poller.rows) == 12
