"""The demo cluster: three nodes, four users, OS templates and twelve containers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fakepve.lxc import FakeCt

from pve_sandbox.api.access.directory import ROOT, AclEntry, DirectoryState, Totp, User
from pve_sandbox.api.appliances import volume_of
from pve_sandbox.api.figures import GIB, guest_constant

CLUSTER_NAME = "sandbox"
FIRST_VMID = 101
DAY_S = 86400
DEMO_PASSWORD = "sandbox"  # noqa: S105 - printed at the start, and valid on this machine only
TFA_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - as above
RECOVERY_KEYS = ("5c5a-3a1e-0d7b-91f2", "e0b8-77c4-2f6d-4a10", "93d1-b6e5-c802-7f3b")
OPERATOR_ROLE = "DashboardOperator"
OPERATOR_PRIVILEGES = (
    "VM.Allocate VM.Audit VM.Backup VM.Clone VM.Console VM.Migrate VM.PowerMgmt VM.Snapshot VM.Config.CPU VM.Config.Disk"
    " VM.Config.Memory VM.Config.Network VM.Config.Options Datastore.AllocateSpace Datastore.Audit"
    " Datastore.AllocateTemplate SDN.Use Pool.Audit Sys.Audit Sys.AccessNetwork"
)
OS_TEMPLATES = (
    "debian-13-standard_13.1-2_amd64.tar.zst",
    "debian-12-standard_12.12-1_amd64.tar.zst",
    "ubuntu-24.04-standard_24.04-2_amd64.tar.zst",
    "alpine-3.22-default_20250617_amd64.tar.xz",
)


@dataclass(frozen=True, slots=True)
class DemoGuest:
    name: str
    tags: str
    pool: str
    cores: int
    memory_mib: int
    disk_gib: int
    runs: bool = True
    ostype: str = "debian"


DEMO_GUESTS = (
    DemoGuest("proxy-01", "edge;web", "production", 2, 1024, 8),
    DemoGuest("web-01", "web", "production", 2, 2048, 16),
    DemoGuest("web-02", "web", "production", 2, 2048, 16),
    DemoGuest("db-01", "database", "production", 4, 8192, 64),
    DemoGuest("db-02", "database;standby", "production", 4, 8192, 64),
    DemoGuest("cache-01", "cache", "production", 1, 1024, 4, ostype="alpine"),
    DemoGuest("mail", "mail", "production", 2, 4096, 32),
    DemoGuest("git", "ci;forge", "platform", 4, 4096, 40, ostype="ubuntu"),
    DemoGuest("runner-01", "ci", "platform", 8, 8192, 32),
    DemoGuest("runner-02", "ci", "platform", 8, 8192, 32, runs=False),
    DemoGuest("staging-web", "staging;web", "staging", 1, 1024, 8, runs=False),
    DemoGuest("old-wiki", "legacy", "", 1, 512, 8, runs=False, ostype="ubuntu"),
)


@dataclass(frozen=True, slots=True)
class DemoCluster:
    """The content of a new sandbox. Later starts keep changes, but reset these passwords."""

    nodes: int = 3
    containers: int = 12
    root_password: str = DEMO_PASSWORD
    operator_password: str = DEMO_PASSWORD
    viewer_password: str = DEMO_PASSWORD
    tfa_password: str = DEMO_PASSWORD
    tfa_secret: str = TFA_SECRET
    recovery_keys: tuple[str, ...] = RECOVERY_KEYS

    def passwords(self) -> dict[str, str]:
        return {
            ROOT: self.root_password,
            "operator@pve": self.operator_password,
            "viewer@pve": self.viewer_password,
            "tfa@pve": self.tfa_password,
        }

    def node_names(self) -> list[str]:
        return [f"pve{number}" for number in range(1, self.nodes + 1)]


def directory_of(demo: DemoCluster) -> DirectoryState:
    """Build users, the operator's role and the access control list."""
    users = {userid: User(password=password) for userid, password in demo.passwords().items()}
    users["operator@pve"].comment = "Creates and runs containers"
    users["viewer@pve"].comment = "Looks, and touches nothing"
    users["tfa@pve"].comment = "Signs in with a second factor"
    users["tfa@pve"].totp["totp1"] = Totp(demo.tfa_secret, "phone", int(time.time()))
    users["tfa@pve"].recovery = list(demo.recovery_keys)
    acl = [
        AclEntry("/", "user", "operator@pve", OPERATOR_ROLE),
        AclEntry("/", "user", "tfa@pve", OPERATOR_ROLE),
        AclEntry("/", "user", "viewer@pve", "PVEAuditor"),
    ]
    return DirectoryState(users=users, roles={OPERATOR_ROLE: OPERATOR_PRIVILEGES.split()}, acl=acl)


def storages(demo: DemoCluster) -> dict[str, dict[str, Any]]:
    """Build two storages: a folder for templates, images and backups, and a thin pool for guests.

    All nodes share their content.
    """
    made = int(time.time()) - 30 * DAY_S
    templates = {f"vztmpl/{name}": volume_of(name, made) for name in OS_TEMPLATES}
    local = {"type": "dir", "path": "/var/lib/vz", "content": "vztmpl,iso,backup", "prune-backups": "keep-all=1"}
    thin = {"type": "lvmthin", "vgname": "pve", "thinpool": "data", "content": "rootdir,images"}
    return {
        "local": {**local, "active": 1, "files": set(), "volumes": templates, "total": 480 * GIB},
        "local-lvm": {
            **thin,
            "active": 1,
            "files": set(),
            "volumes": {},
            "total": max(8 * 1024, 64 * demo.containers) * GIB,
        },
    }


def demo_guest(index: int) -> DemoGuest:
    """Return the demo guest at ``index``. From the thirteenth on they repeat with a number."""
    if index < len(DEMO_GUESTS):
        return DEMO_GUESTS[index]
    kind = DEMO_GUESTS[index % len(DEMO_GUESTS)]
    name = f"{kind.name}-{index // len(DEMO_GUESTS) + 1:03d}"
    runs = guest_constant(index, 7) < 0.85  # noqa: PLR2004 - most containers run
    return DemoGuest(name, kind.tags, kind.pool, kind.cores, kind.memory_mib, kind.disk_gib, runs, kind.ostype)


def container(index: int, nodes: list[str], now: float) -> Any:
    """Build a container without a real guest: configuration, state and figures."""
    demo, vmid = demo_guest(index), FIRST_VMID + index
    mac = f"BC:24:11:{vmid >> 16 & 255:02X}:{vmid >> 8 & 255:02X}:{vmid & 255:02X}"
    third, fourth = divmod(vmid, 250)
    address = "dhcp" if guest_constant(vmid, 6) < 0.25 else f"10.66.{third}.{fourth + 2}/16"  # noqa: PLR2004 - one in four
    gateway = "" if address == "dhcp" else ",gw=10.66.0.1"
    config = {
        "hostname": demo.name,
        "arch": "amd64",
        "ostype": demo.ostype,
        "cores": demo.cores,
        "memory": demo.memory_mib,
        "swap": 512,
        "rootfs": f"local-lvm:vm-{vmid}-disk-0,size={demo.disk_gib}G",
        "net0": f"name=eth0,bridge=vmbr0{gateway},hwaddr={mac},ip={address},type=veth",
        "unprivileged": 1,
        "onboot": 1 if demo.runs else 0,
        "features": "nesting=1",
        "tags": demo.tags,
    }
    status = "running" if demo.runs else "stopped"
    pool = demo.pool or None
    guest = FakeCt(vmid, node=nodes[index % len(nodes)], status=status, config=config, pool=pool, defaults=False)
    if demo.runs:
        guest.started_at = now - 3600 - 30 * DAY_S * guest_constant(vmid, 5)
        guest.pid = 2000 + vmid
    guest.stop_secs, guest.start_secs, guest.shutdown_secs = 0.5, 1.5, 3
    return guest
