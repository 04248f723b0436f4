"""One running guest: its init, its resource usage, entering it, and its SSH server.

Usage comes from /proc and the guest's folders, since cgroups differ too much. The SSH server replaces that of a real OS
template, at the guest's own address and with its own host key. The sandbox serves it from outside, on a socket in the
guest's network, and commands run in the guest. Only guests created with SSH keys have one. Root logs in with the current
``/root/.ssh/authorized_keys``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.host import GuestUsage
from pve_sandbox.guests.namespaces.launcher import GuestProcess, Launcher, tool
from pve_sandbox.ssh.pct import Run
from pve_sandbox.ssh.server import USER, SshServer, persistent_key

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_BLOCK_BYTES = 512
_DISK_AGE_S = 15
_UTIME = 11  # fields of /proc/PID/stat after the command's name: utime, stime, cutime, cstime
_NETWORK_IN, _NETWORK_OUT = 0, 8


class ProcessMeter:
    """CPU seconds and bytes of a guest. Processes that live between two readings are missed."""

    def __init__(self, init_pid: int) -> None:
        self._proc = Path(f"/proc/{init_pid}/root/proc")
        self._network = Path(f"/proc/{init_pid}/net/dev")
        self._seen: dict[int, int] = {}
        self._ended_ticks = 0

    def processes(self) -> tuple[float, int]:
        """(CPU seconds since the start, bytes of memory)."""
        ticks: dict[int, int] = {}
        own_pages, shared_pages = 0, 0
        for name in self._pids():
            with contextlib.suppress(OSError, IndexError):
                folder = self._proc / name
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                ticks[int(name)] = sum(int(field) for field in fields[_UTIME : _UTIME + 4])
                _, resident, shared, *_ = (folder / "statm").read_text(encoding="ascii").split()
                own_pages += int(resident) - int(shared)
                shared_pages = max(shared_pages, int(shared))
        self._ended_ticks += sum(value for pid, value in self._seen.items() if value > ticks.get(pid, -1))
        self._seen = ticks
        return (self._ended_ticks + sum(ticks.values())) / _TICKS_PER_S, (own_pages + shared_pages) * _PAGE_BYTES

    def count(self) -> int:
        """The number of processes, including the init."""
        return len(self._pids())

    def _pids(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [name for name in os.listdir(self._proc) if name.isdecimal()]  # noqa: PTH208 - names are enough
        return []

    def network(self) -> tuple[int, int]:
        """Bytes in and out over the guest's eth0."""
        with contextlib.suppress(OSError):
            for line in self._network.read_text(encoding="ascii").splitlines():
                name, _, figures = line.partition(":")
                if name.strip() == "eth0":
                    columns = figures.split()
                    return int(columns[_NETWORK_IN]), int(columns[_NETWORK_OUT])
        return 0, 0


class DiskMeter:
    """Bytes below some folders, measured at most every ``_DISK_AGE_S``."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._bytes = 0
        self._measured = float("-inf")

    def read(self) -> int:
        if time.monotonic() - self._measured > _DISK_AGE_S:
            self._bytes = sum(_size(folder) for folder in self._folders)
            self._measured = time.monotonic()
        return self._bytes


def _size(top: Path) -> int:
    total = 0
    for folder, _, files in os.walk(top):
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(folder, name).lstat().st_blocks * _BLOCK_BYTES
    return total


_KEYS = "/root/.ssh/authorized_keys"
_KEY_FILE = "ssh_host_key"


class Enter(Protocol):
    def __call__(self, command: Sequence[str], environment: Mapping[str, str], *, tty: bool) -> list[str]:
        """Return the command of this machine that runs ``command`` in the guest."""
        ...


class _GuestShell:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    def environment(self, requested: Mapping[str, str]) -> dict[str, str]:
        del requested
        return {"HOME": "/"}

    async def plan(self, command: str | None, environment: Mapping[str, str], *, tty: bool) -> Run:
        del environment
        return Run(tuple(self._enter(["/bin/sh", *(["-c", command] if command else ["-i"])], {}, tty=tty)))


class GuestSshServer(SshServer):
    """``listener`` is a socket in the guest's network, ``folder`` the guest's folder."""

    def __init__(self, listener: socket.socket, folder: Path, enter: Enter) -> None:
        super().__init__(_GuestShell(enter))
        self._listener = listener
        self._key_file = folder / _KEY_FILE
        self._enter = enter

    async def start(self) -> None:
        key = await asyncio.to_thread(persistent_key, self._key_file)
        await self.listen(asyncssh.import_private_key(key), sock=self._listener.dup())

    async def renew_host_key(self) -> None:
        """Change the host key, as if another machine had taken the guest's address."""
        await self.close()
        await asyncio.to_thread(self._key_file.unlink)
        await self.start()

    async def end(self) -> None:
        await self.close()
        self._listener.close()

    async def may_enter(self, username: str, key: asyncssh.SSHKey) -> bool:
        process = await asyncio.create_subprocess_exec(
            *self._enter(["cat", _KEYS], {}, tty=False),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        authorized, _ = await process.communicate()
        public_key = key.export_public_key().split()[1]
        return username == USER and any(public_key in line.split() for line in authorized.splitlines())


GUEST_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"  # PATH of Proxmox VE's pct exec, without /usr/local
_SHUTDOWN_S = 5
_BOOT_S = 60
_POLL_S = 0.02


class RunningGuest:
    """A running guest, created by ``start``. ``ended`` is set when its init is gone."""

    def __init__(
        self, process: GuestProcess, folder: Path, prefix: Sequence[str], *, many_ids: bool, boots: bool
    ) -> None:
        self._process = process
        self._folder = folder
        self._boots = boots
        self._services: asyncio.subprocess.Process | None = None
        self.ssh: GuestSshServer | None = None
        self._ssh_end: asyncio.Task[None] | None = None
        self._since = time.monotonic()
        self._meter = ProcessMeter(process.pid)
        self._disk = DiskMeter(folder / "upper")
        keep = [] if many_ids else ["--preserve-credentials"]
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        self._environment_tool = tool("env")
        self._enter = [*prefix, tool("nsenter"), "--target", str(process.pid), "--user", *keep, *spaces, "--"]

    @classmethod
    async def start(cls, config: Mapping[str, Any], folder: Path, prefix: Sequence[str] = ()) -> RunningGuest:
        """Start a guest and return when its init runs. A failed start leaves nothing.

        ``config`` as in ``launch.launch``. ``prefix`` runs before each command that enters the guest.
        """
        async with Launcher("guest") as launcher:
            launcher.send(config)
            process = await _await_init(launcher)
        guest = cls(process, folder, prefix, many_ids=config["many_ids"], boots=bool(config["cgroup"]))
        for listener in launcher.passed:
            await guest._serve_ssh(listener)
        return guest

    async def _serve_ssh(self, listener: socket.socket) -> None:
        """Serve SSH until the guest ends."""
        from pve_sandbox.guests.running_guest import GuestSshServer  # slow to import, and few guests need it

        server = self.ssh = GuestSshServer(listener, self._folder, self.argv)
        await server.start()

        async def end() -> None:
            await self._process.ended.wait()
            await server.end()

        self._ssh_end = asyncio.create_task(end())

    @property
    def ended(self) -> bool:
        return self._process.ended.is_set()

    def argv(self, command: Sequence[str], environment: Mapping[str, str], *, tty: bool) -> list[str]:
        """The command of this machine that runs ``command`` inside, without our environment."""
        variables = {"PATH": GUEST_PATH, "HOME": "/root", "container": "lxc", **environment}
        if tty:
            variables["TERM"] = "xterm-256color"
        # Cleared before entering: root in the guest could read the environment of this process.
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return [self._environment_tool, "-i", *assignments, *self._enter, *command]

    async def start_services(self) -> None:
        """Start the services in runlevel 2, without waiting for them.

        With systemd the boot is already running: waits until units can be queried. ``GuestError`` after 60 s.
        """
        if self._boots:
            await self._wait_for_systemd()
            return
        links = await asyncio.to_thread(lambda: sorted((self._folder / "upper/etc/rc2.d").glob("S*")))
        if not links:
            return
        script = 'for service; do [ -x "$service" ] && "$service" start; done'
        self._services = await asyncio.create_subprocess_exec(
            *self.argv(["sh", "-c", script, "boot", *(f"/etc/rc2.d/{link.name}" for link in links)], {}, tty=False),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def _wait_for_systemd(self) -> None:
        door = Path(f"/proc/{self._process.pid}/root/run/systemd/private")
        try:
            async with asyncio.timeout(_BOOT_S):
                # There is no notification when the file appears.
                while not door.exists():  # noqa: ASYNC110, ASYNC240
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise GuestError("systemd does not come up in the guest") from error

    async def usage(self) -> GuestUsage:
        disk_bytes = await asyncio.to_thread(self._disk.read)
        cpu_seconds, memory_bytes = self._meter.processes()
        received, sent = self._meter.network()
        return GuestUsage(cpu_seconds, memory_bytes, disk_bytes, received, sent, time.monotonic() - self._since)

    async def kill(self) -> None:
        """End the init and every process of the guest."""
        await self._process.kill()
        if self._ssh_end:
            await self._ssh_end
        if self._services:
            await self._services.wait()

    async def terminate(self) -> None:
        """Send TERM to every process but the init, and wait up to 5 s. systemd powers off."""
        end = "kill -37 1" if self._boots else "trap '' TERM; kill -TERM -1"  # 37 is SIGRTMIN+3, as PVE sends it
        process = await asyncio.create_subprocess_exec(
            *self.argv(["sh", "-c", end], {}, tty=False),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_S):
                # There is no notification when these processes end.
                while self._meter.count() > 1:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)


async def _await_init(launcher: Launcher) -> GuestProcess:
    process: GuestProcess | None = None
    is_up = False
    try:
        while (report := await launcher.receive()) is not None:
            if "pid" in report:
                process = GuestProcess(report["pid"])
            is_up = is_up or report.get("state") == "up"
        await launcher.process.wait()
    except BaseException:
        if process:
            await process.kill()
        raise
    if process is None or not is_up:
        raise GuestError("The guest's init did not start")
    return process
