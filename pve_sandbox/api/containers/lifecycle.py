"""Containers: create requests, the rules of ``fakepve``, and real guests on this machine behind them."""

from __future__ import annotations

import binascii
import ipaddress
import itertools
import re
import secrets
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fakepve.lxc import split_props
from fakepve.model import PveError, TaskError

from pve_sandbox.api.access.privileges import Access
from pve_sandbox.api.checks import Values
from pve_sandbox.api.figures import limits_of
from pve_sandbox.api.tasks import CURRENT, Body, Tasks, task_log
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in

BLOCK_BYTES = 4096
BYTES_PER_INODE = 16384
GIB = 1024**3
SUPERBLOCK_BASES = (1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343)
BLOCKS_PER_GROUP = 32768
SYSTEMD_OF = {"debian-13": 257, "ubuntu-24.04": 255}
UNPACK = (
    "command 'lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar xpf - {packer} --totals"
    " --one-file-system -p --sparse --numeric-owner --acls --xattrs '--xattrs-include=user.*'"
    " '--xattrs-include=security.capability' '--warning=no-file-ignored' '--warning=no-xattr-write'"
    " -C /var/lib/lxc/{vmid}/rootfs --skip-old-files --anchored --exclude './dev/*'' failed: {how}"
)
PACKERS = {"zst": "--zstd", "xz": "-J", "gz": "-z", "bz2": "-j"}
MOUNT = re.compile(r"mp\d+")
SSH_KEY_TYPES = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """The parameters of a create request, in the form that the task needs."""

    values: dict[str, Any]

    @property
    def ostemplate(self) -> str:
        return str(self.values["ostemplate"])

    @property
    def file_name(self) -> str:
        return self.ostemplate.rpartition("/")[2]

    def volumes(self) -> list[str]:
        """The volumes to allocate, as ``storage:GiB``: the root, then mount points that are no binds."""
        mounts = sorted((int(key[2:]), str(value)) for key, value in self.values.items() if MOUNT.fullmatch(key))
        volumes = [str(self.values.get("rootfs") or ""), *(value for _, value in mounts if not value.startswith("/"))]
        return [value.partition(",")[0] for value in volumes]

    def unpack_failure(self, how: str) -> str:
        packer = PACKERS.get(self.file_name.rpartition(".")[2], "--zstd")
        return UNPACK.format(packer=packer, vmid=self.values["vmid"], how=how)


def spec_of(vmid: int, config: dict[str, Any], disk_bytes: int, request: CreateRequest | None = None) -> GuestSpec:
    """Build the spec of the real guest from a container's configuration."""
    values = request.values if request else {}
    address = split_props(config.get("net0", ""))[1].get("ip", "")
    return GuestSpec(
        vmid=vmid,
        hostname=config.get("hostname") or f"CT{vmid}",
        ostype=config.get("ostype", "debian"),
        address=address if "/" in address else "",
        memory_mib=int(config.get("memory") or 512),
        disk_gib=max(1, disk_bytes // GIB),
        root_password=values.get("password") or "",
        ssh_public_keys=values.get("ssh-public-keys") or "",
        environment=dict(e.split("=", 1) for e in str(config.get("env") or "").split("\0") if "=" in e),
    )


def volume_lines(storage_type: str, volid: str, size_bytes: int) -> list[str]:
    """The log lines for creating and formatting a volume."""
    volume = volid.partition(":")[2]
    blocks = max(size_bytes // BLOCK_BYTES, 1)
    backups = [base * BLOCKS_PER_GROUP for base in SUPERBLOCK_BASES if base * BLOCKS_PER_GROUP < blocks]
    made = []
    if storage_type == "dir":
        made = [f"Formatting '/var/lib/vz/images/{volume}', fmt=raw size={size_bytes} preallocation=off"]
    elif storage_type == "lvmthin":
        made = [f'  Logical volume "{volume}" created.']
    return [
        *made,
        f"Creating filesystem with {blocks} 4k blocks and {size_bytes // BYTES_PER_INODE} inodes",
        f"Filesystem UUID: {uuid.uuid4()}",
        "Superblock backups stored on blocks: ",
        "\t" + ", ".join(map(str, backups)),
    ]


def unpacked_lines(archive_bytes: int, hostname: str, file_name: str) -> list[str]:
    """The log lines for the unpacked archive and the first configuration of the template."""
    lines = [
        f"Total bytes read: {archive_bytes * 3} ({archive_bytes * 3 // 1024**2}MiB, 190MiB/s)",
        "Detected container architecture: amd64",
    ]
    for kind in ("ed25519", "ecdsa", "rsa") if "-standard_" in file_name else ():
        fingerprint = b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        lines.append(f"Creating SSH host key 'ssh_host_{kind}_key' - this may take some time ...")
        lines.append(f"done: SHA256:{fingerprint} root@{hostname}")
    return lines


def nesting_warning(config: dict[str, Any], ostemplate: str) -> Iterator[str]:
    """The warning at the start of a guest with a new systemd and without nesting.

    Its task ends with WARNINGS.
    """
    name = ostemplate.rpartition("/")[2]
    nesting = split_props(config.get("features", ""))[1].get("nesting") == "1"
    for prefix, version in SYSTEMD_OF.items():
        if name.startswith(prefix) and version >= 257 and not nesting and config.get("unprivileged"):  # noqa: PLR2004
            yield f"WARN: Systemd {version} detected. You may need to enable nesting."


def keys_are_valid(text: str) -> bool:
    """Whether each line is a comment or an OpenSSH public key."""
    lines = [line.strip() for line in text.splitlines()]
    return all(_is_key(line) for line in lines if line and not line.startswith("#"))


def _is_key(line: str) -> bool:
    words = line.split()
    for kind, blob in itertools.pairwise(words):
        if kind.startswith(SSH_KEY_TYPES):
            try:
                return kind.encode() in b64decode(blob, validate=True)[: len(kind) + 8]
            except (binascii.Error, ValueError):
                return False
    return False


BRIDGES = ("vmbr0", "vmbr1")
PORTS = ("eno1", "eno2")
DEFAULT_MTU = 1500
CHECKPOINT_FAILED = "command 'lxc-checkpoint -n {vmid} -s -D /var/lib/vz/dump' failed: exit code 1"
# The sum of the guest's file systems on disk, not of those in memory.
MAKE_READ_ONLY = """
while read -r _ at type _; do
    case $at:$type in /:* | *:overlay) mount -o remount,bind,ro "$at" ;; esac
done </proc/self/mounts
"""
NOT_REAL = "the sandbox cannot {act} a guest in which commands really run"


def tags_of(value: object) -> set[str]:
    return {tag for tag in re.split(r"[;, ]+", str(value or "").lower()) if tag}


class Roster(list[Any]):
    """fakepve's list of containers with a fast lookup by vmid.

    ``changed(vmid)`` is called when a container is added or removed.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        super().__init__()
        self._by_vmid: dict[int, Any] = {}
        self._changed = changed

    def get(self, vmid: int) -> Any | None:
        return self._by_vmid.get(vmid)

    def append(self, guest: Any) -> None:
        super().append(guest)
        self._by_vmid[guest.vmid] = guest
        self._changed(guest.vmid)

    def remove(self, guest: Any) -> None:
        super().remove(guest)
        self._by_vmid.pop(guest.vmid, None)
        self._changed(guest.vmid)


class Containers(Access, Tasks):
    """Containers of the cluster. ``guest_host`` runs those in ``hosted``, the others are figures only.

    ``mtus``: the configured MTU by interface. ``portless`` and ``without_dhcp``: bridges without a port, or without a
    DHCP server.
    """

    guest_host: GuestHost | None = None
    node_processors = 16
    portless: tuple[str, ...] = ("vmbr1",)
    without_dhcp: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cts = Roster(self.guest_changed)
        self.hosted: set[int] = set()
        self._templates: dict[int, str] = {}
        self._stopping: set[int] = set()
        self.mtus: dict[str, int] = {}
        self.failed_filesystems: set[int] = set()
        self.registered_tags: set[str] = set()

    def guest_changed(self, vmid: int) -> None:
        """Called when a container appears, disappears or changes."""

    # ---------------------------------------------------------- true state

    def ct(self, vmid: int) -> Any | None:
        guest = self.cts.get(vmid)
        if guest is not None and vmid in self.hosted:
            self._sync_state(guest)
        return guest

    def sync_states(self) -> None:
        """Update ``status`` of every real guest, which may have powered itself off."""
        for vmid in self.hosted:
            self.ct(vmid)

    def _sync_state(self, guest: Any) -> None:
        if guest.vmid in self._stopping:
            return
        running = self.guest_host is not None and self.guest_host.is_running(guest.vmid)
        if running != (guest.status == "running"):
            self._mark(guest, running=running)

    def power_off(self, vmid: int) -> None:
        """Stop a guest without processes, as its own ``poweroff`` does."""
        self._mark(self.cts.get(vmid), running=False)

    def _mark(self, guest: Any, *, running: bool) -> None:
        guest.status = "running" if running else "stopped"
        guest.started_at = time.time() if running else None
        guest.pid = next(self._ct_pids) if running else None

    def _cpus(self, ct: Any) -> Any:
        return limits_of(ct.config, self.node_processors).cores

    # ------------------------------------------------------ start and stop

    def wrap_task(self, ttype: str, guest: Any, body: Body) -> Body:
        wrappers: dict[str, Callable[[Any, Body], Awaitable[str | None]]] = {
            "vzstop": self._stop_task,
            "vzsuspend": self._suspend_task,
            "vzclone": self._clone_task,
            "vzmigrate": self._migrate_task,
            "vzrollback": self._rollback_task,
        }
        wrapper = wrappers.get(ttype)
        return body if wrapper is None or guest is None else lambda: wrapper(guest, body)

    async def _create_guest(
        self, vmid: int, config: Values, disk_bytes: int, request: CreateRequest | None = None
    ) -> None:
        """Create the real guest of a container, if this machine has guests."""
        if self.guest_host is not None:
            await self.guest_host.create(spec_of(vmid, config, disk_bytes, request))
            self.hosted.add(vmid)

    async def _start_steps(self, ct: Any, user: str, skiplock: bool = False) -> None:  # noqa: ARG002 - fakepve's signature
        if ct.template:
            raise TaskError("you can't start a CT if it's a template")
        if not skiplock:
            self._task_lock(ct, allow=("mounted",))
        self._require_bridges(ct)
        if ct.start_error:
            raise TaskError(ct.start_error)
        task_log(*nesting_warning(ct.config, self._templates.get(ct.vmid, "")))
        await self.pause(ct.start_secs)
        self._apply(ct)
        if self.guest_host is not None:
            if ct.vmid not in self.hosted or not self.guest_host.exists(ct.vmid):
                await self._create_guest(ct.vmid, ct.config, limits_of(ct.config, self.node_processors).disk_bytes)
            await self.guest_host.start(ct.vmid)
            await self._create_mount_points(self.guest_host, ct)
            if ct.vmid in self.failed_filesystems:
                await run_in(self.guest_host, ct.vmid, ["sh", "-c", MAKE_READ_ONLY])
        self._mark(ct, running=True)

    @staticmethod
    async def _create_mount_points(guest_host: GuestHost, ct: Any) -> None:
        """Create the folders of mount points in the real guest. Nothing is mounted there."""
        for key, value in sorted(ct.config.items()):
            if MOUNT.fullmatch(key):
                await run_in(guest_host, ct.vmid, ["mkdir", "-p", "--", split_props(value)[1]["mp"]])

    def _check_modify_perm(self, user: str, vmid: int, pool: Any, *changes: Any) -> None:
        """Compare the MTU with the bridge's, as PVE does on create and change."""
        super()._check_modify_perm(user, vmid, pool, *changes)
        _old, new, *_ = changes
        for key in sorted(k for k in new if re.fullmatch(r"net\d+", k)):
            net = split_props(new[key])[1]
            bridge, mtu = net.get("bridge"), int(net.get("mtu") or 0)
            if bridge in BRIDGES and mtu > (of_bridge := self.mtu_of(bridge)):
                raise PveError(500, f"{key}: MTU size '{mtu}' is bigger than bridge MTU '{of_bridge}'")

    def mtu_of(self, bridge: str) -> int:
        """The bridge's own MTU, else that of its port."""
        return self.mtus.get(bridge) or self.mtus.get(self.port_of(bridge), DEFAULT_MTU)

    def port_of(self, bridge: str) -> str:
        """The network card of a bridge, "" if it has none."""
        return "" if bridge in self.portless else PORTS[BRIDGES.index(bridge)]

    @staticmethod
    def _require_bridges(ct: Any) -> None:
        for key in sorted(k for k in ct.config if re.fullmatch(r"net\d+", k)):
            bridge = split_props(ct.config[key])[1].get("bridge")
            if bridge and bridge not in BRIDGES:
                raise TaskError(f"bridge '{bridge}' does not exist")

    async def _stop_task(self, guest: Any, body: Body) -> str | None:
        if guest.vmid not in self.hosted or self.guest_host is None:
            return await body()
        self._stopping.add(guest.vmid)
        try:
            note = await body()
            await self.guest_host.stop(guest.vmid)
        finally:
            self._stopping.discard(guest.vmid)
        return note

    async def _ct_powerdown(self, ct: Any, timeout: float, force: bool) -> None:  # noqa: ASYNC109 - fakepve's signature
        if ct.vmid not in self.hosted or self.guest_host is None:
            await super()._ct_powerdown(ct, timeout, force)
            return
        await self.guest_host.shutdown(ct.vmid)
        self._mark(ct, running=False)

    async def _rollback_task(self, guest: Any, body: Body) -> str | None:
        if guest.vmid in self.hosted:
            raise TaskError(NOT_REAL.format(act="roll back"))
        return await body()

    async def _suspend_task(self, guest: Any, body: Body) -> str | None:
        if guest.vmid in self.hosted:
            raise TaskError(CHECKPOINT_FAILED.format(vmid=guest.vmid))
        return await body()

    async def _clone_task(self, guest: Any, body: Body) -> str | None:
        """Clone. ``guest`` is the new container, the task's id names its source."""
        source = self.ct(int(CURRENT.get()["id"]))
        if source is not None and source.vmid in self.hosted:
            source.lock = None
            self._drop(guest)
            raise TaskError(NOT_REAL.format(act="clone"))
        return await body()

    async def _migrate_task(self, guest: Any, body: Body) -> str | None:
        was_running = guest.status == "running"
        note = await body()
        if was_running and guest.vmid in self.hosted and self.guest_host is not None:
            await self.guest_host.start(guest.vmid)
        return note

    async def _lxc_config_get(self, user: str, v: Values) -> Values:
        """Add PVE's line break at the end of notes."""
        config: Values = await super()._lxc_config_get(user, v)
        if config.get("description"):
            config["description"] = config["description"].rstrip("\n") + "\n"
        return config

    async def _lxc_config_put(self, user: str, v: Values) -> None:
        guest = self._find_ct(v["node"], v["vmid"])
        held = tags_of(guest.config.get("tags"))
        if "tags" in v:
            self.require_tag_privilege(user, held ^ tags_of(v["tags"]))
        await super()._lxc_config_put(user, v)

    def require_tag_privilege(self, user: str, changed: set[str]) -> None:
        """Require the privilege to add or remove these tags."""
        for tag in sorted(changed & self.registered_tags):
            if not self.allowed(user, "/", "Sys.Modify"):
                raise PveError(403, f"Permission check failed (/, Sys.Modify for modifying tag '{tag}')")

    # ------------------------------------------------------------- destroy

    async def _lxc_destroy(self, user: str, v: Values) -> str:
        guest = self._find_ct(v["node"], v["vmid"])
        running_text = f"unable to destroy CT {guest.vmid} - container is running"
        self._check_protection(guest, f"can't remove CT {guest.vmid}")
        self._ct_check_lock(guest)
        if guest.ha_managed and not v.get("purge"):
            text = "used in HA resources and purge parameter not set."
            raise PveError(500, f"unable to remove CT {guest.vmid} - {text}")
        if guest.status == "running" and not v.get("force"):
            raise PveError(500, running_text)

        async def body() -> None:
            self._task_lock(guest)
            if self.ct(guest.vmid) is not None and guest.status == "running":
                if not v.get("force"):
                    raise TaskError(running_text)
                task_log(f"forced to stop CT {guest.vmid} before destroying!")
            guest.lock = "destroyed"
            if v.get("purge"):
                task_log(f"purging CT {guest.vmid} from related configurations..")
            await self._remove(guest)

        upid: str = await self._ct_task(guest, "vzdestroy", user, body)
        return upid

    async def _remove(self, guest: Any) -> None:
        await self.pause(self.ct_secs["destroy"])
        if self.guest_host is not None and self.guest_host.exists(guest.vmid):
            await self.guest_host.destroy(guest.vmid)
        self.hosted.discard(guest.vmid)
        self._templates.pop(guest.vmid, None)
        self.failed_filesystems.discard(guest.vmid)
        self.directory.drop_path(f"/vms/{guest.vmid}")
        self._drop(guest)

    # ---------------------------------------------------------- interfaces

    async def _lxc_interfaces(self, user: str, v: Values) -> Any:
        guest = self._here(v)
        if guest is None:
            return None
        listed = await super()._lxc_interfaces(user, v)
        for item in (listed or [])[1:]:
            item["hwaddr"] = item["hardware-address"] = item["hwaddr"].lower()
            if "inet" not in item:
                _add_address(item, "inet", await self.dhcp_address(guest))
            if "inet6" not in item:
                _add_address(item, "inet6", link_local(item["hwaddr"]))
        return listed

    async def dhcp_address(self, guest: Any) -> str:
        """The DHCP address in CIDR form, "" while there is none."""
        if split_props(guest.config.get("net0", ""))[1].get("bridge") in self.without_dhcp:
            return ""
        if guest.vmid in self.hosted and self.guest_host is not None:
            return await self.guest_host.address(guest.vmid)
        third, fourth = divmod(guest.vmid, 250)
        return f"10.66.{third % 250}.{fourth + 2}/16"


def link_local(mac: str) -> str:
    """The link-local IPv6 address of an interface (EUI-64)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 0x02
    packed = b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]
    return f"{ipaddress.IPv6Address(packed)}/64"


def _add_address(item: dict[str, Any], family: str, cidr: str) -> None:
    if not cidr:
        return
    address, _, prefix = cidr.partition("/")
    item[family] = cidr
    item["ip-addresses"].append({"ip-address-type": family, "ip-address": address, "prefix": prefix})
