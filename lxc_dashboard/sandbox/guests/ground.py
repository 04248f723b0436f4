"""What all guests of a run stand on: the mask, the user namespace and router held by the keeper, the way out."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import shutil
from pathlib import Path

from lxc_dashboard.errors import ConflictError, GuestError
from lxc_dashboard.sandbox.guests.cgroup import CgroupFolder
from lxc_dashboard.sandbox.guests.flavor import Flavor
from lxc_dashboard.sandbox.guests.mask import Mask
from lxc_dashboard.sandbox.guests.network import HostLine, choose_gateway
from lxc_dashboard.sandbox.guests.pretence import prefix
from lxc_dashboard.sandbox.guests.process import Launcher, tool
from lxc_dashboard.sandbox.guests.relay import Relay
from lxc_dashboard.sandbox.guests.tree import TreeRules, tops

_PROJECT = Path(__file__).resolve().parents[3]
_NETWORKS_TRIED = 10


class Ground:
    """``open`` once, ``close`` once. One sandbox at a time has a data folder."""

    def __init__(self, data_dir: Path, flavor: Flavor) -> None:
        self._data_dir = data_dir.resolve()
        self.folder = self._data_dir / "guests"
        self.flavor = flavor
        hidden = (self._data_dir, _PROJECT) if (_PROJECT / "pyproject.toml").exists() else (self._data_dir,)
        self.rules = TreeRules(flavor.shift, not flavor.idmapped, hidden)
        self.tops = tops(hidden)
        self.gateway = ipaddress.IPv4Interface("127.0.0.1")
        self.line: HostLine | None = None
        self.cgroups: CgroupFolder | None = None  # of guests with systemd
        self.prefix: list[str] = []  # before each command that enters a guest
        self.no_way_out = ""  # why the guests have no network outside
        self._keeper: Launcher | None = None
        self._relay: Relay | None = None
        self._lock_file = -1

    @property
    def keeper_pid(self) -> int:
        """``GuestError`` while there is no keeper."""
        if self._keeper is None or self._keeper.process.returncode is not None:
            raise GuestError("The guests' host is closed")
        return self._keeper.process.pid

    async def open(self) -> None:
        """``OSError`` or ``GuestError`` when this machine does not allow this flavor."""
        await asyncio.to_thread(self.folder.mkdir, mode=0o755, parents=True, exist_ok=True)
        self._take_lock()
        try:
            await asyncio.to_thread(Mask(self.folder / "mask", self.rules).build, self.tops)
            if not self.flavor.many_ids:
                self.prefix = await asyncio.to_thread(prefix, self.folder)
            if self.flavor.boots:
                self.cgroups = CgroupFolder(self._data_dir)
            await self._start_keeper()
        except BaseException:
            await self.close()
            raise

    def _take_lock(self) -> None:
        self._lock_file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_file)
            self._lock_file = -1
            raise ConflictError("Another sandbox uses this data folder", detail=str(self.folder)) from error

    async def _start_keeper(self) -> None:
        async with Launcher("keeper") as keeper:
            self._keeper = keeper
            await keeper.hear()
            await self.flavor.map_ids(keeper.process.pid)
            self._take_network(keeper.process.pid)
            host_address = str(self.line.address) if self.line else ""
            keeper.tell({"many_ids": self.flavor.many_ids, "gateway": str(self.gateway), "host_address": host_address})
            report = await keeper.hear()
        if report is None:
            raise GuestError("The keeper of the guests' namespaces ended")
        self.no_way_out = report["rules"]
        tcp, dns = keeper.passed
        self._relay = Relay(tcp, dns, str(self.gateway.ip))
        await self._relay.start()

    def _take_network(self, router_pid: int) -> None:
        """One that another sandbox takes between our look and our route is passed over, as that look would have done."""
        for _ in range(_NETWORKS_TRIED):
            self.gateway = choose_gateway(self._data_dir)
            if self.flavor.shift < 0:
                return
            self.line = HostLine(self._data_dir, self.gateway)
            with contextlib.suppress(FileExistsError):
                self.line.lay(router_pid)
                return
        raise GuestError("Other sandboxes took each network for guests that was free")

    async def remove_folder(self, folder: Path) -> None:
        """Files of ids that only exist inside the guests are removed from inside."""
        if self.flavor.shift >= 0:
            await asyncio.to_thread(shutil.rmtree, folder)
            return
        keep = [] if self.flavor.many_ids else ["--preserve-credentials"]
        enter = [tool("nsenter"), "--target", str(self.keeper_pid), "--user", *keep, "--"]
        process = await asyncio.create_subprocess_exec(*enter, tool("rm"), "-rf", "--", str(folder))
        if await process.wait():
            raise GuestError("A guest's folder could not be removed", detail=str(folder))

    async def close(self) -> None:
        if self._relay:
            await self._relay.close()
        if self.line:
            self.line.remove()
        if self._keeper:
            await self._keeper.end()
        if self._lock_file >= 0:
            os.close(self._lock_file)
        self._relay, self.line, self._keeper, self._lock_file = None, None, None, -1
