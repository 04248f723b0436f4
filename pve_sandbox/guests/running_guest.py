"""One running guest: its init, its figures, and entering it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.host import GuestUsage
from pve_sandbox.guests.namespaces.launcher import GuestProcess, Launcher, tool
from pve_sandbox.guests.usage import DiskMeter, ProcessMeter

if TYPE_CHECKING:
    from pve_sandbox.guests.ssh_server import GuestSshServer

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
        from pve_sandbox.guests.ssh_server import GuestSshServer  # slow to import, and few guests need it

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
