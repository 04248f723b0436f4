"""Every typed call, once, over HTTPS: it sends parameters in PVE's own form."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TaskResult, TokenAuth
from lxc_dashboard.proxmox.access import Grants
from lxc_dashboard.proxmox.caller import Noun
from lxc_dashboard.proxmox.schemas import ClusterOptions, LogPage, TerminalTicket
from tests.unit.proxmox.replay import UPID, Answer, Identity, RawServer, check_all, data

QUOTED_UPID = "UPID%3Apve1%3A000002C1%3A00067CE3%3A6B04B4F4%3Avzcreate%3A120%3Aroot%40pam%3A"
TERMINAL = {"ticket": "PVEVNC:6B04B46C::a+b/c==", "port": "5900", "user": "root@pam", "upid": UPID}
SOME_DATA: dict[str, Any] = {
    "version": {"version": "9.1.4"},
    "nextid": "100",
    "vmid_is_free": "555",
    "has_no_guest": "555",
    "permissions": {"/vms/101": {"VM.Audit": 0, "VM.Console": 1}, "/vms": {"VM.Clone": 1}},
    "config": {"lock": "create"},
    "termproxy": TERMINAL,
    "cards": {"lock": "clone"},
    "options": {"allowed-tags": ["web"]},
}
A_TASK = {"start", "stop", "shutdown", "reboot", "create", "restore", "create_snapshot", "rollback", "clone", "migrate",
          "delete_snapshot", "delete", "resize", "download_appliance"}  # fmt: skip
A_LIST = {"list", "domains", "resources", "tasks", "network", "storage", "aplinfo", "content", "interfaces", "snapshots",
          "pending", "rrddata", "cards", "find", "find_guest", "log", "tail", "vnets"}  # fmt: skip

Call = Callable[[ProxmoxClient], Awaitable[Any]]
Case = tuple[str, Call, str, dict[str, str]]
"""The call's name, how it is made, the request that it must become, and the query or form of that."""

CALLS: list[Case] = [
    ("version", lambda c: c.version(), "GET /version", {}),
    ("access.domains", lambda c: c.access.domains(), "GET /access/domains", {}),
    ("access.permissions", lambda c: c.access.permissions("/vms/101"), "GET /access/permissions", {"path": "/vms/101"}),
    ("access.grants", lambda c: c.access.grants(), "GET /access/permissions", {}),
    ("cluster.resources", lambda c: c.cluster.resources("vm"), "GET /cluster/resources", {"type": "vm"}),
    ("cluster.find_guest", lambda c: c.cluster.find_guest(101), "GET /cluster/resources", {"type": "vm"}),
    ("cluster.status", lambda c: c.cluster.status(), "GET /cluster/status", {}),
    ("cluster.tasks", lambda c: c.cluster.tasks(), "GET /cluster/tasks", {}),
    ("cluster.vnets", lambda c: c.cluster.vnets(), "GET /cluster/sdn/vnets", {}),
    ("cluster.options", lambda c: c.cluster.options(), "GET /cluster/options", {}),
    ("cluster.nextid", lambda c: c.cluster.nextid(), "GET /cluster/nextid", {}),
    ("cluster.vmid_is_free", lambda c: c.cluster.vmid_is_free(555), "GET /cluster/nextid", {"vmid": "555"}),
    ("cluster.has_no_guest", lambda c: c.cluster.has_no_guest(555), "GET /cluster/nextid", {"vmid": "555"}),
    ("nodes.list", lambda c: c.nodes.list(), "GET /nodes", {}),
    ("nodes.status", lambda c: c.nodes.status("pve1"), "GET /nodes/pve1/status", {}),
    (
        "nodes.network",
        lambda c: c.nodes.network("pve1", "any_bridge"),
        "GET /nodes/pve1/network",
        {"type": "any_bridge"},
    ),
    ("nodes.storage", lambda c: c.nodes.storage("pve1", "rootdir"), "GET /nodes/pve1/storage", {"content": "rootdir"}),
    ("nodes.aplinfo", lambda c: c.nodes.aplinfo("pve1"), "GET /nodes/pve1/aplinfo", {}),
    (
        "nodes.download_appliance",
        lambda c: c.nodes.download_appliance("pve1", "local", "debian.tar.zst"),
        "POST /nodes/pve1/aplinfo",
        {"storage": "local", "template": "debian.tar.zst"},
    ),
    (
        "storage.content",
        lambda c: c.storage.content("pve1", "local", "backup", 101),
        "GET /nodes/pve1/storage/local/content",
        {"content": "backup", "vmid": "101"},
    ),
    (
        "storage.delete",
        lambda c: c.storage.delete("pve1", "local-lvm", "local-lvm:vm-101-disk-0"),
        "DELETE /nodes/pve1/storage/local-lvm/content/local-lvm%3Avm-101-disk-0",
        {},
    ),
    ("storage.status", lambda c: c.storage.status("pve1", "local"), "GET /nodes/pve1/storage/local/status", {}),
    ("pools.list", lambda c: c.pools.list(), "GET /pools", {}),
    ("lxc.list", lambda c: c.lxc.list("pve1"), "GET /nodes/pve1/lxc", {}),
    ("lxc.find", lambda c: c.lxc.find("pve1", 101), "GET /nodes/pve1/lxc", {}),
    (
        "lxc.create",
        lambda c: c.lxc.create(
            "pve1",
            120,
            "local:vztmpl/debian.tar.zst",
            unprivileged=True,
            options={
                "hostname": "app1",
                "onboot": False,
                "swap": 0,
                "pool": None,
                "ssh-public-keys": "ssh-ed25519 A b",
            },
        ),
        "POST /nodes/pve1/lxc",
        {
            "hostname": "app1",
            "onboot": "0",
            "swap": "0",
            "ssh-public-keys": "ssh-ed25519 A b",
            "vmid": "120",
            "ostemplate": "local:vztmpl/debian.tar.zst",
            "unprivileged": "1",
        },
    ),
    (
        "lxc.restore",
        lambda c: c.lxc.restore("pve1", 150, "local:backup/a.tar.zst", options={"storage": "local", "unique": True}),
        "POST /nodes/pve1/lxc",
        {"storage": "local", "unique": "1", "vmid": "150", "ostemplate": "local:backup/a.tar.zst", "restore": "1"},
    ),
    (
        "lxc.config",
        lambda c: c.lxc.config("pve1", 101, current=True),
        "GET /nodes/pve1/lxc/101/config",
        {"current": "1"},
    ),
    ("lxc.pending", lambda c: c.lxc.pending("pve1", 101), "GET /nodes/pve1/lxc/101/pending", {}),
    (
        "lxc.set_config",
        lambda c: c.lxc.set_config("pve1", 101, {"memory": 300, "protection": True}),
        "PUT /nodes/pve1/lxc/101/config",
        {"memory": "300", "protection": "1"},
    ),
    ("lxc.status", lambda c: c.lxc.status("pve1", 101), "GET /nodes/pve1/lxc/101/status/current", {}),
    ("lxc.start", lambda c: c.lxc.start("pve1", 101), "POST /nodes/pve1/lxc/101/status/start", {}),
    ("lxc.stop", lambda c: c.lxc.stop("pve1", 101), "POST /nodes/pve1/lxc/101/status/stop", {}),
    (
        "lxc.shutdown",
        lambda c: c.lxc.shutdown("pve1", 101, timeout_s=5, force_stop=True),
        "POST /nodes/pve1/lxc/101/status/shutdown",
        {"forceStop": "1", "timeout": "5"},
    ),
    ("lxc.reboot", lambda c: c.lxc.reboot("pve1", 101), "POST /nodes/pve1/lxc/101/status/reboot", {}),
    ("lxc.interfaces", lambda c: c.lxc.interfaces("pve1", 101), "GET /nodes/pve1/lxc/101/interfaces", {}),
    ("lxc.snapshots", lambda c: c.lxc.snapshots("pve1", 101), "GET /nodes/pve1/lxc/101/snapshot", {}),
    (
        "lxc.create_snapshot",
        lambda c: c.lxc.create_snapshot("pve1", 101, "before", "why"),
        "POST /nodes/pve1/lxc/101/snapshot",
        {"snapname": "before", "description": "why"},
    ),
    (
        "lxc.rollback",
        lambda c: c.lxc.rollback("pve1", 101, "before", start=True),
        "POST /nodes/pve1/lxc/101/snapshot/before/rollback",
        {"start": "1"},
    ),
    (
        "lxc.delete_snapshot",
        lambda c: c.lxc.delete_snapshot("pve1", 101, "before"),
        "DELETE /nodes/pve1/lxc/101/snapshot/before",
        {},
    ),
    (
        "lxc.clone",
        lambda c: c.lxc.clone("pve1", 101, 140, {"hostname": "clone1", "full": True}),
        "POST /nodes/pve1/lxc/101/clone",
        {"newid": "140", "hostname": "clone1", "full": "1"},
    ),
    (
        "lxc.resize",
        lambda c: c.lxc.resize("pve1", 101, "rootfs", "+1G"),
        "PUT /nodes/pve1/lxc/101/resize",
        {"disk": "rootfs", "size": "+1G"},
    ),
    (
        "lxc.migrate",
        lambda c: c.lxc.migrate("pve1", 101, "pve2", restart=True),
        "POST /nodes/pve1/lxc/101/migrate",
        {"target": "pve2", "restart": "1"},
    ),
    (
        "lxc.delete",
        lambda c: c.lxc.delete("pve1", 101, purge=True, force=True),
        "DELETE /nodes/pve1/lxc/101",
        {"purge": "1", "force": "1"},
    ),
    (
        "lxc.rrddata",
        lambda c: c.lxc.rrddata("pve1", 101, "day", "MAX"),
        "GET /nodes/pve1/lxc/101/rrddata",
        {"timeframe": "day", "cf": "MAX"},
    ),
    ("lxc.termproxy", lambda c: c.lxc.termproxy("pve1", 101), "POST /nodes/pve1/lxc/101/termproxy", {}),
    ("qemu.cards", lambda c: c.qemu.cards("pve1", 102), "GET /nodes/pve1/qemu/102/config", {}),
    (
        "vzdump.create",
        lambda c: c.vzdump.create("pve1", 101, "local", mode="stop", options={"compress": "zstd"}),
        "POST /nodes/pve1/vzdump",
        {"vmid": "101", "storage": "local", "mode": "stop", "compress": "zstd"},
    ),
    (
        "tasks.list",
        lambda c: c.tasks.list("pve1", vmid=120, typefilter="vzcreate", since=7, errors=True, source="active", limit=9),
        "GET /nodes/pve1/tasks",
        {"vmid": "120", "typefilter": "vzcreate", "since": "7", "errors": "1", "source": "active", "limit": "9"},
    ),
    ("tasks.status", lambda c: c.tasks.status(UPID), f"GET /nodes/pve1/tasks/{QUOTED_UPID}/status", {}),
    (
        "tasks.log",
        lambda c: c.tasks.log(UPID, start=2, limit=3),
        f"GET /nodes/pve1/tasks/{QUOTED_UPID}/log",
        {"start": "2", "limit": "3"},
    ),
    (
        "tasks.tail",
        lambda c: c.tasks.tail(UPID),
        f"GET /nodes/pve1/tasks/{QUOTED_UPID}/log",
        {"start": "0", "limit": "0"},
    ),
    ("tasks.stop", lambda c: c.tasks.stop(UPID), f"DELETE /nodes/pve1/tasks/{QUOTED_UPID}", {}),
    ("tasks.wait", lambda c: c.tasks.wait(UPID), f"GET /nodes/pve1/tasks/{QUOTED_UPID}/status", {}),
]


def answer_to(name: str) -> Answer:
    _, _, call = name.rpartition(".")
    if name == "tasks.wait":
        return data({"status": "stopped", "exitstatus": "OK"})
    if name in {"tasks.status", "storage.status", "lxc.status", "nodes.status"}:
        return data({"vmid": 101})
    if call in SOME_DATA:
        return data(SOME_DATA[call])
    if call in A_TASK and name != "tasks.stop":
        return data(UPID)
    return data([] if call in A_LIST or name == "cluster.status" else None)


async def test_a_call_is_sent_in_pves_own_form(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(case: Case) -> None:
        name, call, request_line, sent = case
        async with RawServer(identity, lambda _: answer_to(name)) as server:
            value = await call(pool.client(server.endpoint, TokenAuth("root@pam!t", "s")))
        seen = server.seen[-1]
        assert seen.call == request_line
        assert (seen.query if seen.method in {"GET", "DELETE"} else seen.form) == sent
        if seen.method in {"GET", "DELETE"}:
            assert seen.body == b""
        else:
            assert seen.headers.get("content-type") == ("application/x-www-form-urlencoded" if sent else None)
        assert seen.headers["accept-encoding"] == "identity"
        assert value == expected(name)

    await check_all(CALLS, check)


def expected(name: str) -> Any:
    """The result of a call. By default an empty list or a Struct of defaults."""
    call = name.rpartition(".")[2]
    values: dict[str, Any] = {
        "permissions": {"VM.Audit", "VM.Console"},
        "grants": Grants({}),
        "nextid": 100,
        "options": ClusterOptions(allowed_tags=["web"]),
        "vmid_is_free": True,
        "has_no_guest": True,
        "find": None,
        "find_guest": None,
        "log": LogPage([], None),
        "termproxy": TerminalTicket(ticket=TERMINAL["ticket"], port=5900, user="root@pam", upid=UPID),
        "wait": TaskResult(UPID, "OK"),
    }
    if call in values:
        return values[call]
    if call in A_TASK and name not in {"tasks.stop", "vzdump.create"}:
        return UPID
    return Anything() if call in {"version", "config", "status"} or name == "vzdump.create" else _empty(name, call)


def _empty(name: str, call: str) -> Any:
    return [] if call in A_LIST or name == "cluster.status" else None


class Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment] # never a dict key


def test_every_public_call_is_among_them() -> None:
    client_calls = {
        f"{noun.__name__.lower()}.{name}"
        for noun in Noun.__subclasses__()
        for name, _ in inspect.getmembers(noun, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert {name for name, *_ in CALLS} == client_calls | {"version"}
