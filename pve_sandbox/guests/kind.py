"""The kinds of guest: their rights, the id map of their user namespace, and a guest's stored description (``guest.json``)."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.guests.namespaces.launcher import tool

_FILE = "guest.json"
_FIRST_HOST, _LAST_HOST = 10, 250
_MAC_PREFIX = "bc:24:11"  # PVE's own prefix


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """``address`` is the guest's address. ``fresh`` until its first start is finished.

    ``base`` is the name of the base below its layer, empty for a simulated guest.
    """

    spec: GuestSpec
    address: str
    fresh: bool = True
    base: str = ""

    @property
    def mac(self) -> str:
        digest = hashlib.sha256(f"{self.spec.vmid} {self.spec.hostname}".encode()).hexdigest()
        return ":".join((_MAC_PREFIX, digest[0:2], digest[2:4], digest[4:6]))

    def started(self) -> GuestRecord:
        """The record after the first start, without the root password, which the guest has now."""
        return replace(self, fresh=False, spec=replace(self.spec, root_password=""))

    def save(self, folder: Path) -> None:
        document: dict[str, Any] = {**asdict(self), "spec": {**asdict(self.spec)}}
        document["spec"]["environment"] = dict(self.spec.environment)
        partial = folder / f".{_FILE}"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(document), encoding="utf-8")
        partial.replace(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> GuestRecord | None:
        """``None`` if there is no guest, or its record is unreadable."""
        try:
            document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return cls(GuestSpec(**document["spec"]), document["address"], document["fresh"], document.get("base", ""))
        except (OSError, ValueError, TypeError, KeyError):
            return None


def choose_address(spec: GuestSpec, gateway: ipaddress.IPv4Interface, taken: set[str]) -> str:
    """Return the requested address, else a free one. A vmid gets the same one if possible."""
    network = gateway.network
    if spec.address:
        requested = ipaddress.IPv4Interface(spec.address)
        if (
            requested.ip == gateway.ip
            or requested.ip.is_loopback
            or requested.ip.is_multicast
            or requested.ip.is_unspecified
        ):
            raise ValueError(f"{requested.ip} cannot be a guest's address")
        return str(requested)
    used = {text.split("/")[0] for text in taken} | {str(gateway.ip)}
    span = _LAST_HOST - _FIRST_HOST
    for step in range(span):
        candidate = str(network[_FIRST_HOST + (spec.vmid + step) % span])
        if candidate not in used:
            return f"{candidate}/{network.prefixlen}"
    raise ValueError(f"No free address in {network}")


ID_COUNT = 65536
_FIRST_ID = 100000


@dataclass(frozen=True, slots=True)
class GuestKind:
    """A kind of guest.

    - ``shift``: the uid on this machine of the guest's root, -1 if that is our own user.
    - ``many_ids``: guests have other users than root.
    - ``boots``: the init is systemd.
    """

    name: str
    description: str
    shift: int
    many_ids: bool
    boots: bool = False

    @property
    def owner(self) -> int:
        """The uid on this machine that owns the files of the guest's root."""
        return self.shift if self.shift >= 0 else os.geteuid()

    @property
    def id_map(self) -> str:
        """Identify the id map: guests with equal ones may share a base."""
        granted = f" {_granted('/etc/subuid')} {_granted('/etc/subgid')}" if self.many_ids and self.shift < 0 else ""
        return f"{self.owner}{granted}" if self.many_ids else f"{self.owner} alone"

    async def map_ids(self, pid: int) -> None:
        """Write the id map of the user namespace of ``pid``. ``OSError`` or ``GuestError`` if refused."""
        if self.shift >= 0:
            line = f"0 {self.shift} {ID_COUNT}"
            _write_proc(pid, {"uid_map": line, "gid_map": line})
        elif self.many_ids:
            await _map_by_tool("newuidmap", pid, os.getuid(), _granted("/etc/subuid"))
            await _map_by_tool("newgidmap", pid, os.getgid(), _granted("/etc/subgid"))
        else:
            own = {"uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}
            _write_proc(pid, {"setgroups": "deny", **own})


def _write_proc(pid: int, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        Path(f"/proc/{pid}/{name}").write_text(text, encoding="ascii")


def _granted(path: str) -> tuple[int, int]:
    """(first, count) of the subordinate ids of this user."""
    names = {getpass.getuser(), str(os.getuid())}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            first, _, count = rest.partition(":")
            return int(first), int(count)
    raise FileNotFoundError(f"{path} grants this user nothing")


async def _map_by_tool(name: str, pid: int, own: int, granted: tuple[int, int]) -> None:
    first, count = granted
    arguments = [tool(name), str(pid), "0", str(own), "1", "1", str(first), str(count)]
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.PIPE)
    _, output = await process.communicate()
    if process.returncode:
        raise GuestError(f"{name} refused", detail=output.decode(errors="replace").strip())


_OUTSIDE = "packages install from the machine's own mirrors (TCP and DNS only); no systemctl, no ping to the world"

ROOT = GuestKind(
    "root",
    f"Root guests: commands, services and users are real, {_OUTSIDE}.",
    _FIRST_ID,
    many_ids=True,
)
ROOTLESS = GuestKind(
    "rootless",
    f"Rootless guests with their own users: {_OUTSIDE}; guests are not reachable from this machine by network.",
    -1,
    many_ids=True,
)
ROOTLESS_SINGLE = GuestKind(
    "rootless-single",
    f"Rootless guests with one user: commands are real, everything belongs to root in them (a change of owner or user "
    f"seems to work and does nothing); {_OUTSIDE}; guests are not reachable from this machine by network.",
    -1,
    many_ids=False,
)

SYSTEMD = GuestKind(
    "systemd",
    "Root guests with systemd as their init: services are units, packages install from "
    "the machine's own mirrors (TCP and DNS only); no ping to the world.",
    _FIRST_ID,
    many_ids=True,
    boots=True,
)


def candidates(kind: str) -> list[GuestKind]:
    """The kinds to try for ``kind`` (``auto``: all), best first."""
    # Never a single id as root: that would be the machine's own root, which owns its settings under /proc.
    allowed = [ROOT] if os.geteuid() == 0 else [ROOTLESS, ROOTLESS_SINGLE]
    if kind == SYSTEMD.name:
        return [SYSTEMD] if os.geteuid() == 0 else []
    return [guest_kind for guest_kind in allowed if kind in {"auto", guest_kind.name}]
