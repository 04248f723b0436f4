"""The kinds of guest: their rights, and the id map of their user namespace."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.namespaces.launcher import tool

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
