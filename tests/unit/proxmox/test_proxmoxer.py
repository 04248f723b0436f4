"""Recorded answers, read with proxmoxer and with the product's client: both must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

from lxc_dashboard.errors import ApiError, PrivilegeError, UnreachableError
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TokenAuth, login
from tests.unit.proxmox.replay import RECORDED, Identity, RawServer, check_all, replaying, strict_identity
from tests.unit.proxmox.test_recorded import agrees


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return strict_identity(tmp_path_factory.mktemp("identity"))


Both = tuple[Callable[[ProxmoxClient], Awaitable[Any]], Callable[[Any], Any]]

READS: dict[str, Both] = {
    "version": (lambda c: c.version(), lambda p: p.version.get()),
    "nodes": (lambda c: c.nodes.list(), lambda p: p.nodes.get()),
    "cluster2_nodes": (lambda c: c.nodes.list(), lambda p: p.nodes.get()),
    "cluster_resources_mixed": (lambda c: c.cluster.resources(), lambda p: p.cluster.resources.get()),
    "cluster2_resources": (lambda c: c.cluster.resources(), lambda p: p.cluster.resources.get()),
    "cluster2_status": (lambda c: c.cluster.status(), lambda p: p.cluster.status.get()),
    "tasks_cluster": (lambda c: c.cluster.tasks(), lambda p: p.cluster.tasks.get()),
    "pools": (lambda c: c.pools.list(), lambda p: p.pools.get()),
    "access_domains_no_auth": (lambda c: c.access.domains(), lambda p: p.access.domains.get()),
    "node_status": (lambda c: c.nodes.status("pve1"), lambda p: p.nodes("pve1").status.get()),
    "node_network": (lambda c: c.nodes.network("pve1"), lambda p: p.nodes("pve1").network.get()),
    "node_storage_list": (lambda c: c.nodes.storage("pve1"), lambda p: p.nodes("pve1").storage.get()),
    "aplinfo": (lambda c: c.nodes.aplinfo("pve1"), lambda p: p.nodes("pve1").aplinfo.get()),
    "storage_content_vztmpl": (
        lambda c: c.storage.content("pve1", "local", "vztmpl"),
        lambda p: p.nodes("pve1").storage("local").content.get(content="vztmpl"),
    ),
    "lxc_list_mixed": (lambda c: c.lxc.list("pve1"), lambda p: p.nodes("pve1").lxc.get()),
    "lxc_config_120": (lambda c: c.lxc.config("pve1", 120), lambda p: p.nodes("pve1").lxc(120).config.get()),
    "lxc_status_current_running": (
        lambda c: c.lxc.status("pve1", 120),
        lambda p: p.nodes("pve1").lxc(120).status.current.get(),
    ),
    "lxc_interfaces_running": (
        lambda c: c.lxc.interfaces("pve1", 120),
        lambda p: p.nodes("pve1").lxc(120).interfaces.get(),
    ),
    "snapshot_list": (lambda c: c.lxc.snapshots("pve1", 120), lambda p: p.nodes("pve1").lxc(120).snapshot.get()),
    "pending_running": (lambda c: c.lxc.pending("pve1", 120), lambda p: p.nodes("pve1").lxc(120).pending.get()),
    "lxc_rrddata_hour": (
        lambda c: c.lxc.rrddata("pve1", 101, "hour"),
        lambda p: p.nodes("pve1").lxc(101).rrddata.get(timeframe="hour"),
    ),
    "tasks_node": (lambda c: c.tasks.list("pve1"), lambda p: p.nodes("pve1").tasks.get(limit=5)),
    "start_ok__task_status": (
        lambda c: c.tasks.status(RECORDED["start_ok"].data),
        lambda p: p.nodes("pve1").tasks(RECORDED["start_ok"].data).status.get(),
    ),
    "start_ok": (lambda c: c.lxc.start("pve1", 120), lambda p: p.nodes("pve1").lxc(120).status.start.post()),
    "resize_ok": (
        lambda c: c.lxc.resize("pve1", 120, "rootfs", "+1G"),
        lambda p: p.nodes("pve1").lxc(120).resize.put(disk="rootfs", size="+1G"),
    ),
}

REFUSALS: dict[str, Both] = {
    "lxc_config_missing_999": (lambda c: c.lxc.config("pve1", 999), lambda p: p.nodes("pve1").lxc(999).config.get()),
    "start_running": (lambda c: c.lxc.start("pve1", 120), lambda p: p.nodes("pve1").lxc(120).status.start.post()),
    "config_put_bad_value": (
        lambda c: c.lxc.set_config("pve1", 120, {"memory": 1}),
        lambda p: p.nodes("pve1").lxc(120).config.put(memory=1),
    ),
    "perm_denied_bob_lxc_config": (
        lambda c: c.lxc.config("pve1", 101),
        lambda p: p.nodes("pve1").lxc(101).config.get(),
    ),
    "proxy_other_node_unreachable": (lambda c: c.lxc.list("pve2"), lambda p: p.nodes("pve2").lxc.get()),
}


def proxmoxer_of(server: RawServer, identity: Identity) -> Any:
    pve = ProxmoxAPI(
        "127.0.0.1",
        port=server.port,
        user="root@pam",
        token_name="test",
        token_value="secret",
        verify_ssl=str(identity.ca_file),
    )
    session = pve._store["session"]
    session.trust_env = False
    return pve


async def ask_proxmoxer(server: RawServer, identity: Identity, read: Callable[[Any], Any]) -> Any:
    def ask() -> Any:
        pve = proxmoxer_of(server, identity)
        try:
            return read(pve)
        finally:
            pve._store["session"].close()

    return await asyncio.to_thread(ask)


async def test_both_clients_read_the_same(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        ours, theirs = READS[name]
        async with replaying(identity, name) as server:
            value = await ours(pool.client(server.endpoint, TokenAuth("root@pam!test", "secret")))
            found = await ask_proxmoxer(server, identity, theirs)
        assert agrees(value, found)
        mine, other = server.seen
        assert (unquote(mine.call), mine.form) == (unquote(other.call), other.form)
        assert mine.headers["authorization"] == other.headers["authorization"]

    await check_all(READS, check)


async def test_both_clients_are_refused_for_the_same_reason(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        ours, theirs = REFUSALS[name]
        async with replaying(identity, name) as server:
            with pytest.raises((ApiError, PrivilegeError, UnreachableError)) as mine:
                await ours(pool.client(server.endpoint, TokenAuth("root@pam!test", "secret")))
            with pytest.raises(ResourceException) as other:
                await ask_proxmoxer(server, identity, theirs)
        assert other.value.status_code == RECORDED[name].status
        reason = other.value.content.strip()
        if isinstance(mine.value, ApiError):
            assert (mine.value.status, mine.value.message) == (other.value.status_code, reason)
            stripped = {field: why.strip() for field, why in (other.value.errors or {}).items()}
            assert mine.value.fields == stripped
        else:
            assert reason in mine.value.detail

    await check_all(REFUSALS, check)


async def test_both_clients_sign_in_with_the_same_request(pool: ProxmoxPool, identity: Identity) -> None:
    async with replaying(identity, "auth_login_ok_pam", "version") as server:
        ticket = await login(pool.client(server.endpoint), "root@pam", "labpass1")

        def sign_in() -> Any:
            pve = ProxmoxAPI(
                "127.0.0.1", port=server.port, user="root@pam", password="labpass1", verify_ssl=str(identity.ca_file)
            )
            return pve.get_tokens()

        theirs = await asyncio.to_thread(sign_in)
    assert theirs == (ticket.ticket, ticket.csrf_token)
    mine, other = server.seen
    assert (mine.call, mine.form) == (other.call, other.form)
