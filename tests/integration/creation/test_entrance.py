"""How often privileges are checked before entering a guest: at each entry, but at most once in five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lxc_dashboard.errors import PrivilegeError, UnreachableError
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import access
from lxc_dashboard.services.creation import access as entrances
from lxc_dashboard.services.creation.access import RIGHTS_HOLD_FOR_S, Entrance, Way, WayKind
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, IpSettings
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import register
from tests.integration.endpoints import sign_in

VMID = 101
MARKER = "a-marker"
FIVE_S = 5.0
AN_HOUR_S = 3600.0  # replaces the five seconds, which may pass on a slow machine


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    """A sandbox without guests: these tests enter none."""
    async with SandboxNode(
        tmp_path / "node", demo=DemoCluster(), time_scale=0.02, stats_interval_s=0, auth_delay_s=0
    ) as node:
        node.api.max_requests = 10_000
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox)
        yield runtime


@pytest.fixture
async def entrance(rt: Runtime, sandbox: SandboxNode) -> Entrance:
    """The entrance of a job of operator@pve."""
    session = await sign_in(rt, sandbox, "operator@pve")
    client = await acting.client(rt, session)
    found = await client.cluster.find_guest(VMID)
    assert found is not None
    guest = Guest(VMID, found.node, "any")
    way = Way(WayKind.PCT, found.node, SshAddress("127.0.0.1", 22, "root", "", ""))
    return Entrance(rt, client, session.endpoint_id, guest, way=way, key=None)


def rights_asked(sandbox: SandboxNode) -> int:
    return sum(path.endswith("/access/permissions") for _, path, *_ in sandbox.api.requests)


def looked_for(sandbox: SandboxNode) -> int:
    return sum(path.endswith(f"/lxc/{VMID}/status/current") for _, path, *_ in sandbox.api.requests)


def let_pass(entrance: Entrance, seconds: float) -> None:
    entrance._asked_at -= seconds


async def test_many_entries_within_five_seconds_ask_once(
    entrance: Entrance, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RIGHTS_HOLD_FOR_S == FIVE_S
    monkeypatch.setattr(entrances, "RIGHTS_HOLD_FOR_S", AN_HOUR_S)
    let_pass(entrance, AN_HOUR_S)
    before = rights_asked(sandbox)
    await asyncio.gather(*(entrance.door(MARKER) for _ in range(20)))
    await entrance.door(MARKER)
    assert rights_asked(sandbox) - before == 1
    let_pass(entrance, AN_HOUR_S)
    await asyncio.gather(*(entrance.door(MARKER) for _ in range(20)))
    assert rights_asked(sandbox) - before == 2


async def test_every_entry_asks_where_none_was_for_five_seconds(entrance: Entrance, sandbox: SandboxNode) -> None:
    before = rights_asked(sandbox)
    for entries in range(1, 5):
        await entrance.door(MARKER)
        assert rights_asked(sandbox) - before == entries
        let_pass(entrance, FIVE_S)


async def test_rights_that_were_taken_away_are_noticed_within_five_seconds(
    entrance: Entrance, sandbox: SandboxNode
) -> None:
    await entrance.door(MARKER)
    clock = asyncio.get_running_loop().time
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != "operator@pve"]
    sandbox.api.directory.changed()
    taken_at = last_let_in = clock()

    async def enter_again_and_again() -> None:
        nonlocal last_let_in
        while (entered_at := clock()) - taken_at < 4 * FIVE_S:
            await entrance.door(MARKER)
            last_let_in = entered_at
            await asyncio.sleep(0.05)

    with pytest.raises(PrivilegeError, match=f"VM.Console at /vms/{VMID}"):
        await enter_again_and_again()
    assert last_let_in - taken_at <= FIVE_S
    before = rights_asked(sandbox)
    for _ in range(3):  # a refusal is never cached
        with pytest.raises(PrivilegeError):
            await entrance.door(MARKER)
    assert rights_asked(sandbox) - before == 3


async def test_a_guest_that_pve_has_just_answered_for_is_not_looked_for(
    entrance: Entrance, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrances, "RIGHTS_HOLD_FOR_S", AN_HOUR_S)
    let_pass(entrance, AN_HOUR_S)
    before = looked_for(sandbox)
    entrance._guest.seen()
    await entrance.door(MARKER)
    assert looked_for(sandbox) == before
    entrance._guest.lost()
    let_pass(entrance, AN_HOUR_S)
    await entrance.door(MARKER)
    assert looked_for(sandbox) - before == 1


async def test_each_door_asks_for_itself(rt: Runtime, entrance: Entrance, sandbox: SandboxNode) -> None:
    other = Entrance(rt, entrance._client, entrance._endpoint_id, entrance._guest, way=entrance.way, key=None)
    before = rights_asked(sandbox)
    await entrance.door(MARKER)
    await other.door(MARKER)
    assert rights_asked(sandbox) - before == 2


async def test_a_guest_that_ha_recovered_from_a_node_that_is_down_is_found(
    entrance: Entrance, sandbox: SandboxNode
) -> None:
    guest = sandbox.api.cts.get(VMID)
    assert guest
    left, other = guest.node, next(node for node in sandbox.api.nodes if node != guest.node)
    sandbox.node_offline(left)
    with pytest.raises(UnreachableError):
        await access.find_door(entrance._client, VMID, left)
    guest.node = other
    assert await access.find_door(entrance._client, VMID, left) == (other, None)


def test_an_address_to_which_no_route_leads_closes_the_way_by_ssh() -> None:
    static = IpSettings(IpMode.STATIC, "255.255.255.255/24")  # no machine has a route to this address
    spec = ContainerSpec("pve1", "local:vztmpl/other-1.tar.zst", "web", "local-lvm", ipv4=static)
    closed = access._closed("pve1", spec)
    assert closed == Message.of(FailureCode.NO_WAY_NO_ROUTE, node="pve1", address="255.255.255.255")
