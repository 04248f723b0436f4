from __future__ import annotations

import pytest

from lxc_dashboard.errors import ApiError
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool
from tests.unit.proxmox.replay import RECORDED, UPID, Answer, Exchange, Identity, RawServer, Seen, data, refusal

TERMINAL = {"ticket": "PVEVNC:6B04B46C::a+b/c==", "port": "5900", "user": "root@pam", "upid": UPID}


async def test_a_guest_is_found_wherever_it_is(pool: ProxmoxPool, identity: Identity) -> None:
    guests = [{"id": f"lxc/{vmid}", "type": "lxc", "vmid": vmid, "node": "pve2", "tags": "a;b"} for vmid in (101, 102)]
    async with RawServer(identity, lambda _: data(guests)) as server:
        client = pool.client(server.endpoint)
        found, missing = await client.cluster.find_guest(102), await client.cluster.find_guest(103)
        on_node = await client.lxc.find("pve2", 101)
    assert found is not None
    assert (found.vmid, found.node, found.is_guest, found.tag_list) == (102, "pve2", True, ("a", "b"))
    assert missing is None
    assert on_node is not None
    assert (on_node.vmid, on_node.tag_list, on_node.running) == (101, ("a", "b"), False)


@pytest.mark.parametrize(
    "taken",
    [
        refusal("400 Parameter verification failed.", "x", {"vmid": "VM 101 already exists"}),
        refusal("500 VM 101 already exists"),
        refusal("500 no", "CT 101 already exists on node 'pve2'\n"),
    ],
)
async def test_a_vmid_is_taken_however_that_is_said(taken: Answer, pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: taken) as server:
        assert not await pool.client(server.endpoint).cluster.vmid_is_free(101)
        assert not await pool.client(server.endpoint).cluster.has_no_guest(101)
    async with RawServer(identity, lambda _: refusal("500 no quorum")) as server:
        with pytest.raises(ApiError):
            await pool.client(server.endpoint).cluster.vmid_is_free(101)


async def test_an_offer_of_another_vmid_says_nothing_of_the_one_that_was_asked_for(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: data("103")) as server:
        cluster = pool.client(server.endpoint).cluster
        assert await cluster.vmid_is_free(101)
        assert not await cluster.has_no_guest(101)
        assert await cluster.has_no_guest(103)


async def test_a_status_without_a_vmid_is_one_all_the_same(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"status": "running", "name": "web"})) as server:
        status = await pool.client(server.endpoint).lxc.status("pve1", 101)
    assert (status.running, status.name) == (True, "web")


@pytest.mark.parametrize(
    ("found", "held"),
    [
        ({"/vms/1": {"VM.Audit": None, "VM.Console": 0, "VM.Clone": True}}, {"VM.Audit", "VM.Console", "VM.Clone"}),
        ({"/vms/1": None, "/vms": {"VM.Audit": 1}}, set()),
        ({}, set()),
        (None, set()),
    ],
)
async def test_a_privilege_is_held_where_its_key_is(
    found: object, held: set[str], pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: data(found)) as server:
        assert await pool.client(server.endpoint).access.permissions("/vms/1") == held


async def test_a_resource_without_an_id_is_listed(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data([{"type": "lxc", "vmid": "7"}])) as server:
        assert [guest.vmid for guest in await pool.client(server.endpoint).cluster.resources()] == [7]


async def test_a_backup_of_a_guest_that_moved_has_no_upid(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data("OK")) as server:
        assert await pool.client(server.endpoint).vzdump.create("pve1", 101, "local") is None
        assert server.seen[0].form["mode"] == "snapshot"


async def test_a_console_url_carries_port_and_quoted_ticket(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(TERMINAL)) as server:
        lxc = pool.client(server.endpoint).lxc
        terminal = await lxc.termproxy("pve1", 101)
    assert lxc.websocket_url("pve1", 101, terminal) == (
        f"wss://127.0.0.1:{server.port}/api2/json/nodes/pve1/lxc/101/vncwebsocket"
        "?port=5900&vncticket=PVEVNC%3A6B04B46C%3A%3Aa%2Bb%2Fc%3D%3D"
    )
    assert "PVEVNC" not in repr(terminal)


@pytest.mark.parametrize("name", ["create_ok", "create_ok_start_1_standard", "cluster2_proxied_create_on_pve2"])
async def test_a_recorded_create_is_sent_as_it_was_recorded(name: str, pool: ProxmoxPool, identity: Identity) -> None:
    exchange = RECORDED[name]
    async with RawServer(identity, lambda _: exchange.answer) as server:
        upid = await _create(pool.client(server.endpoint), exchange)
    assert upid == exchange.data
    assert _comparable(server.seen[0]) == (exchange.method, exchange.path, exchange.form)


async def _create(client: ProxmoxClient, exchange: Exchange) -> str:
    options = {k: v for k, v in exchange.form.items() if k not in {"vmid", "ostemplate", "unprivileged"}}
    node = exchange.path.split("/")[2]
    return await client.lxc.create(
        node, int(exchange.form["vmid"]), exchange.form["ostemplate"], unprivileged=True, options=options
    )


def _comparable(seen: Seen) -> tuple[str, str, dict[str, str]]:
    return seen.method, seen.path, seen.form
