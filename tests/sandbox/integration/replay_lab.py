"""The lab of the recordings in the sandbox: its users, storages, templates and containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fakepve.lxc import FakeCt

from pve_sandbox.api.access.directory import AclEntry, Token, Totp, User
from pve_sandbox.demo_cluster import TFA_SECRET, DemoCluster
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.replay import PASSWORDS, Lab, client_of

GIB = 1024**3
MINI = "debian-12-mini_12.0-1_amd64.tar.zst"
TOKENS = {"root@pam!mon": Token("root-secret", privsep=0), "root@pam!sep": Token("sep-secret", privsep=1)}


@asynccontextmanager
async def lab(folder: Path, *, nodes: int = 1) -> AsyncIterator[Lab]:
    """One node with CT 101 stopped, or a cluster of two. Tasks end at once."""
    demo = DemoCluster(nodes=nodes, containers=0, root_password=PASSWORDS["root@pam"])
    async with SandboxNode(folder, demo=demo, time_scale=0, stats_interval_s=0) as node:
        furnish(node)
        async with client_of(node) as http:
            yield Lab(node, http, tokens={name: token.secret for name, token in TOKENS.items()})


def furnish(node: SandboxNode) -> None:
    api, users = node.api, node.api.directory.users
    users.clear()
    users["root@pam"] = User(PASSWORDS["root@pam"], tokens={n.partition("!")[2]: t for n, t in TOKENS.items()})
    for userid in ("alice@pve", "bob@pve", "mgr@pve"):
        users[userid] = User(PASSWORDS[userid], comment=f"lab {userid[:-4]}")
    users["tfa@pve"] = User("tfapass12", comment="lab tfa", totp={"totp1": Totp(TFA_SECRET, "phone", 1795470000)})
    api.directory.acl[:] = [
        AclEntry("/", "user", "alice@pve", "PVEAuditor"),
        AclEntry("/pool/lab", "user", "mgr@pve", "PVEVMAdmin"),
    ]
    api.directory.changed()
    api.pools, api.pool_info = {"lab": set()}, {"lab": {"comment": "lab pool", "storage": set()}}
    api.cluster_name, api.vlan_aware = "labcluster", ()
    api.storages = storages()
    api.cts.append(container(101, "web1", "local", memory=256, rootfs="local:101/vm-101-disk-0.raw,size=2G"))


def storages() -> dict[str, dict[str, Any]]:
    volumes = {
        f"vztmpl/{name}": {"content": "vztmpl", "format": "tzst", "size": 46681560, "ctime": 1795470213}
        for name in (MINI, "debian-13-standard_13.1-2_amd64.tar.zst", "broken_1.0_amd64.tar.zst")
    }
    volumes["vztmpl/broken_1.0_amd64.tar.zst"]["corrupt"] = True
    local = {"type": "dir", "path": "/var/lib/vz", "content": "snippets,iso,rootdir,vztmpl,images,backup"}
    kept = {"active": 1, "files": set(), "total": 200 * GIB}
    return {
        "local": {**local, **kept, "volumes": volumes, "prune-backups": "keep-all=1"},
        "btr": {"type": "btrfs", "path": "/mnt/btr", "content": "rootdir,images", **kept, "volumes": {}},
    }


def container(vmid: int, name: str, storage: str, **config: Any) -> Any:
    """Build a stopped container of the lab."""
    settings = {"hostname": name, "arch": "amd64", "ostype": "debian", "memory": 512, "swap": 512, "unprivileged": 1}
    settings["rootfs"] = f"{storage}:{vmid}/vm-{vmid}-disk-0.raw,size=1G"
    return FakeCt(vmid, node="pve1", config={**settings, **config}, defaults=False)


def app1() -> Any:
    """Build CT 120, on a storage with snapshots."""
    net0 = "name=eth0,bridge=vmbr0,gw=10.99.0.1,host-managed=1,hwaddr=BC:24:11:5B:F3:84,ip=10.99.0.120/24,type=veth"
    extra = {"cores": 1, "memory": 256, "swap": 0, "onboot": 1, "features": "nesting=1", "tags": "dash;lab"}
    return container(120, "app1", "btr", net0=net0, description="hello\nworld\n", **extra)


def with_mixed(node: SandboxNode) -> None:
    """Add two stopped and two running containers."""
    api = node.api
    net = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:1E:00:F8,ip=10.99.0.121/24,type=veth"
    api.cts.append(container(110, "d", "local", rootfs="local:110/vm-110-disk-0.raw,size=4G"))
    api.cts.append(container(111, "ct", "local", memory=128, net0=net.replace("vmbr0", "vmbr99")))
    for guest in (app1(), container(121, "sysd", "local", net0=net)):
        api.cts.append(guest)
        api._mark(guest, running=True)
