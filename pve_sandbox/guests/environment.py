"""What all guests of a run share: their base, user namespace, router and relay."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pve_sandbox.errors import ConflictError, GuestError
from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.guests.kind import GuestKind, GuestRecord, choose_address
from pve_sandbox.guests.namespaces.kernel import CgroupFolder, write_filter
from pve_sandbox.guests.namespaces.launcher import Launcher, tool
from pve_sandbox.guests.network.relay import Relay, Uplink, choose_gateway
from pve_sandbox.guests.rootfs.base import Base, find_base
from pve_sandbox.guests.running_guest import RunningGuest

_PROJECT = Path(__file__).resolve().parents[2]
_NETWORKS_TRIED = 10
_BASE_VMID = 0  # no guest of Proxmox VE has it
_SCRIPT_TIMEOUT_S = 600


class GuestEnvironment:
    """Call ``open`` and ``close`` once each. A data folder belongs to one sandbox at a time."""

    def __init__(self, data_dir: Path, guest_kind: GuestKind) -> None:
        self._data_dir = data_dir.resolve()
        self.folder = self._data_dir / "guests"
        self.guest_kind = guest_kind
        self.hidden = (self._data_dir, _PROJECT) if (_PROJECT / "pyproject.toml").exists() else (self._data_dir,)
        self.gateway = ipaddress.IPv4Interface("127.0.0.1")
        self.uplink: Uplink | None = None
        self.cgroups: CgroupFolder | None = None  # only for guests with systemd
        self.prefix: list[str] = []  # runs before each command that enters a guest
        self.network_problem = ""  # why the guests have no network, else empty
        self._keeper: Launcher | None = None
        self._relay: Relay | None = None
        self._lock_file = -1
        self._base: Base | None = None
        self._base_lock = -1

    @property
    def base(self) -> Base:
        """The base of new guests. ``GuestError`` while the host is closed."""
        if self._base is None:
            raise GuestError("The guests' host is closed")
        return self._base

    @property
    def keeper_pid(self) -> int:
        """The pid of the keeper. ``GuestError`` without one."""
        if self._keeper is None or self._keeper.process.returncode is not None:
            raise GuestError("The guests' host is closed")
        return self._keeper.process.pid

    async def open(self) -> None:
        """Start the keeper and find the base. ``OSError`` or ``GuestError`` if this kind is not possible."""
        await asyncio.to_thread(self.folder.mkdir, mode=0o755, parents=True, exist_ok=True)
        self._take_lock()
        try:
            if not self.guest_kind.many_ids:
                self.prefix = await asyncio.to_thread(write_filter, self.folder)
            if self.guest_kind.boots:
                self.cgroups = CgroupFolder(self._data_dir)
            await self._start_keeper()
            self._base = await find_base(self)
            self._base_lock = self._base.hold(self.folder)
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
            await keeper.receive()
            await self.guest_kind.map_ids(keeper.process.pid)
            self._choose_network(keeper.process.pid)
            host_address = str(self.uplink.address) if self.uplink else ""
            keeper.send(
                {"many_ids": self.guest_kind.many_ids, "gateway": str(self.gateway), "host_address": host_address}
            )
            report = await keeper.receive()
        if report is None:
            raise GuestError("The keeper of the guests' namespaces ended")
        self.network_problem = report["rules"]
        tcp, dns = keeper.passed
        self._relay = Relay(tcp, dns, str(self.gateway.ip))
        await self._relay.start()

    def _choose_network(self, router_pid: int) -> None:
        """Choose a network and route it. Another sandbox may take it in between: then try the next."""
        for _ in range(_NETWORKS_TRIED):
            self.gateway = choose_gateway(self._data_dir)
            if self.guest_kind.shift < 0:
                return
            self.uplink = Uplink(self._data_dir, self.gateway)
            with contextlib.suppress(FileExistsError):
                self.uplink.create(router_pid)
                return
        raise GuestError("Other sandboxes took each network for guests that was free")

    def launch_config(self, record: GuestRecord, directory: Path) -> dict[str, Any]:
        """The configuration for ``launch.launch`` of a guest whose system is ``directory``."""
        return {
            "base": "",
            "cgroup": "",
            "directory": str(directory),
            "vmid": record.spec.vmid,
            "hostname": record.spec.hostname,
            "keeper": self.keeper_pid,
            "privileged": self.guest_kind.shift >= 0,
            "many_ids": self.guest_kind.many_ids,
            "address": record.address,
            "gateway": str(self.gateway),
            "mac": record.mac,
            "ssh": bool(record.spec.ssh_public_keys.strip()),
        }

    def as_guest_root(self, command: Sequence[str]) -> list[str]:
        """Wrap ``command`` of this machine: it runs in the guests' user namespace only."""
        keep = [] if self.guest_kind.many_ids else ["--preserve-credentials"]
        return [*self.prefix, tool("nsenter"), "--target", str(self.keeper_pid), "--user", *keep, "--", *command]

    async def run_in_tree(self, tree: Path, script: str) -> None:
        """Run ``script`` in a temporary guest whose system is ``tree``. ``GuestError`` if it fails."""
        spec = GuestSpec(_BASE_VMID, "base")
        record = GuestRecord(spec, choose_address(spec, self.gateway, set()))
        guest = await RunningGuest.start(self.launch_config(record, tree), tree.parent, self.prefix)
        try:
            async with asyncio.timeout(_SCRIPT_TIMEOUT_S):
                process = await asyncio.create_subprocess_exec(
                    *guest.argv(["sh", "-c", script], {}, tty=False),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise GuestError("A script in the guests' base did not end") from error
        finally:
            await guest.kill()
        if process.returncode:
            raise GuestError("A script in the guests' base failed", detail=output.decode(errors="replace"))

    async def remove_folder(self, folder: Path) -> None:
        """Remove a folder. Without root, only the guests' user namespace may delete their files."""
        if self.guest_kind.shift >= 0:
            await asyncio.to_thread(shutil.rmtree, folder)
            return
        process = await asyncio.create_subprocess_exec(*self.as_guest_root([tool("rm"), "-rf", "--", str(folder)]))
        if await process.wait():
            raise GuestError("A guest's folder could not be removed", detail=str(folder))

    async def close(self) -> None:
        if self._relay:
            await self._relay.close()
        if self.uplink:
            self.uplink.remove()
        if self._keeper:
            await self._keeper.end()
        for descriptor in (self._lock_file, self._base_lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._relay, self.uplink, self._keeper, self._base = None, None, None, None
        self._lock_file, self._base_lock = -1, -1
