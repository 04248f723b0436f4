"""What the poller requests from PVE: a guest once for each ended task, on the node where it is now."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import asdict

from lxc_dashboard.proxmox import ProxmoxPool, TokenAuth
from lxc_dashboard.proxmox.schemas import Resource
from lxc_dashboard.services.monitor import poller
from lxc_dashboard.services.monitor.poller import Poller
from lxc_dashboard.services.monitor.rows import Fields, Known, Row
from lxc_dashboard.text import in_words_of
from tests.unit.proxmox.replay import Answer, Identity, RawServer, Seen, data, make_identity, refusal

PATIENCE_S = 60
ALWAYS = {"/version": {"version": "9.1.4"}, "/access/permissions": {"/vms": {"VM.Audit": 1}}}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("identity"))


def task(number: int, vmid: int, kind: str = "vzstart", *, running: bool = False, at: int = 1) -> dict[str, Any]:
    upid = f"UPID:pve1:{number:08X}:00000001:6B04B4F4:{kind}:{vmid}:root@pam:"
    ended = {} if running else {"endtime": at, "status": "OK"}
    return {"upid": upid, "node": "pve1", "type": kind, "id": str(vmid), "user": "root@pam", "starttime": 1, **ended}


@dataclass
class Pve:
    """A PVE. ``places``: the node of each guest."""

    places: dict[int, str]
    tasks: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    away: str = ""
    silent: set[int] = field(default_factory=set)
    templates: set[int] = field(default_factory=set)
    refuses: str = ""
    daemons: list[str] = field(default_factory=list)
    grants: int = 0

    def __call__(self, seen: Seen) -> Answer:
        if seen.path == self.refuses:
            return refusal("403 Forbidden", "Permission check failed (/, Sys.Audit)")
        self.grants += seen.path == "/access/permissions"
        if seen.path in ALWAYS:
            return data(ALWAYS[seen.path])
        if seen.path == "/cluster/tasks":
            return data(self.tasks)
        if seen.path == "/cluster/resources":
            guests = [
                {"type": "lxc", "vmid": vmid, "node": at, "status": "stopped", "template": int(vmid in self.templates)}
                for vmid, at in self.places.items()
            ]
            return data([*({"type": "node", "node": node, "status": "online"} for node in ("pve1", "pve2")), *guests])
        if seen.path.endswith("/lxc"):
            self.daemons.append(seen.path)
            node = seen.path.split("/")[2]
            return data([{"vmid": vmid, "status": "running"} for vmid, at in self.places.items() if at == node])
        self.asked.append(seen.path)
        _, _, node, _, vmid, *_ = seen.path.split("/")
        return self._status(node, int(vmid))

    def _status(self, node: str, vmid: int) -> Answer:
        if node == self.away:
            return Answer("595 No route to host", headers=())
        if self.places.get(vmid) != node:
            return refusal("500 no such guest", f"Configuration file 'nodes/{node}/lxc/{vmid}.conf' does not exist")
        if vmid in self.silent:
            return refusal("500 no", "can't lock file - got timeout")
        if vmid in self.templates:
            return data({"vmid": vmid, "status": "stopped", "template": 1})
        return data({"vmid": vmid, "status": "running"})


@dataclass
class Looks:
    """A running poller. ``another`` makes it poll again at once, with the live status of ``vmid``."""

    poller: Poller
    published: asyncio.Queue[tuple[dict[int, Fields], list[int]]]
    told: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> tuple[dict[int, Fields], list[int]]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.published.get()

    async def another(self, vmid: int) -> tuple[dict[int, Fields], list[int]]:
        self.poller.touch(vmid, "pve1")
        return await self.next()


def every_field(changed: Mapping[int, Row | Fields]) -> dict[int, Fields]:
    return {vmid: asdict(change) if isinstance(change, Row) else change for vmid, change in changed.items()}


@asynccontextmanager
async def looking(identity: Identity, pve: Pve) -> AsyncIterator[Looks]:
    async def known(_: list[Resource]) -> Mapping[int, Known]:
        return {}

    async def publish(changed: Mapping[int, Row | Fields], gone: list[int], meta: dict[str, Any] | None) -> None:
        looks.told.append(meta or {})
        looks.published.put_nowait((every_field(changed), gone))

    async with RawServer(identity, pve) as server, ProxmoxPool() as pool:
        client = pool.client(server.endpoint, TokenAuth("root@pam!t", "secret"))
        looks = Looks(Poller(client, known, publish), asyncio.Queue())
        polling = asyncio.create_task(looks.poller.run())
        try:
            yield looks
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)


async def test_a_guest_is_asked_once_for_each_task_that_ends(identity: Identity) -> None:
    pve = Pve({101: "pve1", 102: "pve1", 103: "pve1"}, tasks=[task(1, 101), task(2, 102, running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        assert pve.asked == []
        pve.tasks = [task(1, 101), task(2, 102), task(3, 101)]
        for _ in range(3):
            await looks.another(103)
    assert [path for path in pve.asked if "/103/" not in path].count("/nodes/pve1/lxc/101/status/current") == 1
    assert pve.asked.count("/nodes/pve1/lxc/102/status/current") == 1


async def test_a_guest_that_was_migrated_stays_in_the_list_at_its_new_place(identity: Identity) -> None:
    pve = Pve({101: "pve1", 103: "pve1"}, tasks=[task(1, 101, "vzmigrate", running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        pve.places[101], pve.tasks = "pve2", [task(1, 101, "vzmigrate")]
        changed, gone = await looks.another(103)
    assert not gone
    assert (changed[101]["node"], changed[101]["status"]) == ("pve2", "running")


async def test_a_guest_that_was_deleted_leaves_the_list_at_once(identity: Identity) -> None:
    pve = Pve({101: "pve1", 103: "pve1"}, tasks=[task(1, 101, "vzdestroy", running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        del pve.places[101]
        pve.tasks = [task(1, 101, "vzdestroy")]
        _, gone = await looks.another(103)
    assert gone == [101]


async def test_what_was_started_just_before_the_first_look_shows_by_it(identity: Identity) -> None:
    pve = Pve({101: "pve1"}, tasks=[task(1, 101, at=int(time.time()))])
    async with looking(identity, pve) as looks:
        changed, _ = await looks.next()
    assert changed[101]["status"] == "running"


async def test_a_guest_whose_node_went_away_hinders_no_look(identity: Identity) -> None:
    pve = Pve({101: "pve2", 103: "pve1"}, tasks=[task(1, 101, running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        pve.away, pve.tasks = "pve2", [task(1, 101)]
        changed, gone = await looks.another(103)
    assert changed[103]["status"] == "running"
    assert not gone


async def test_a_guest_that_does_not_tell_how_it_stands_stays_in_the_list(identity: Identity) -> None:
    pve = Pve({101: "pve1", 103: "pve1"}, tasks=[task(1, 101, running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        pve.silent, pve.tasks = {101}, [task(1, 101)]
        changed, gone = await looks.another(103)
        assert changed[103]["status"] == "running"
        assert not gone
        assert 101 in looks.poller.rows


async def test_a_template_whose_backup_ends_is_no_container(identity: Identity) -> None:
    pve = Pve({101: "pve1", 103: "pve1"}, tasks=[task(1, 101, "vzdump", running=True)], templates={101})
    async with looking(identity, pve) as looks:
        await looks.next()
        pve.tasks = [task(1, 101, "vzdump")]
        changed, _ = await looks.another(103)
        assert set(changed) == set(looks.poller.rows) == {103}


async def test_a_pve_that_lets_the_user_list_nothing_is_named_as_the_cause(identity: Identity) -> None:
    pve = Pve({101: "pve1"}, refuses="/cluster/resources")
    async with looking(identity, pve) as looks:
        await looks.next()
        assert "Sys.Audit" in in_words_of(looks.told[-1]["error"])
        pve.refuses = ""
        rows, _ = await looks.another(101)
    assert list(rows) == [101]


async def test_a_guest_that_changed_without_a_task_shows_by_its_nodes_own_list(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "RESOURCES_EVERY_S", 3600.0)
    monkeypatch.setattr(poller, "BETWEEN", 0.0)
    pve = Pve({101: "pve1", 102: "pve2"})
    async with looking(identity, pve) as looks:
        await looks.next()
        assert looks.poller.rows[102].status == "stopped"
        changed, _ = await looks.another(101)
        assert changed[101]["status"] == "running"
    assert pve.daemons == ["/nodes/pve1/lxc"]


async def test_a_look_at_the_tasks_leaves_every_row_as_it_is(identity: Identity) -> None:
    pve = Pve({101: "pve1", 102: "pve1", 103: "pve1"})
    async with looking(identity, pve) as looks:
        await looks.next()
        looks.poller._next_between = math.inf
        before = dict(looks.poller.rows)
        pve.tasks = [task(1, 102, running=True)]
        changed, _ = await looks.another(103)
        assert changed == {102: {"busy": "starting"}, 103: {"status": "running"}}
        assert looks.poller.rows[101] is before[101]


async def test_the_end_of_a_start_is_looked_for_sooner_than_other_tasks(identity: Identity) -> None:
    pve = Pve({101: "pve1", 103: "pve1"}, tasks=[task(1, 101, "vzdump", running=True)])
    async with looking(identity, pve) as looks:
        await looks.next()
        assert looks.poller._pause() > poller.YOUNG_EVERY_S
        pve.tasks = [task(2, 101, running=True)]
        await looks.another(103)
        assert looks.poller._pause() == poller.YOUNG_EVERY_S


async def test_the_nodes_are_asked_in_turn_for_their_lists_and_now_and_then_pve_for_what_the_user_may_do(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "RESOURCES_EVERY_S", 0.0)
    pve = Pve({101: "pve1"})
    async with looking(identity, pve) as looks:
        await looks.next()
        for _ in range(2 * poller.GRANTS_EVERY_TURNS - 1):
            await looks.another(101)
        assert pve.grants == 2
        assert 2 * poller.GRANTS_EVERY_TURNS - 2 <= len(pve.daemons) < 2 * poller.GRANTS_EVERY_TURNS
    assert all(one != other for one, other in pairwise(pve.daemons))


def test_a_quiet_minute_costs_pve_no_more_than_thirty_requests() -> None:
    with_each_whole_look = ("/cluster/resources", "/nodes/{node}/lxc")
    assert 60 / poller.TASKS_EVERY_S + len(with_each_whole_look) * 60 / poller.RESOURCES_EVERY_S <= 30
