"""One running guest: its init, its figures, the way into it."""

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

GUEST_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"  # as Proxmox VE's pct exec has it: nothing of /usr/local
_SHUTDOWN_S = 5
_BOOT_S = 60
_POLL_S = 0.02


class RunningGuest:
    """Made by ``start``; ``ended`` is set when its init has gone, whoever ended it."""

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
        """``config`` as ``launch.launch`` reads it, ``prefix`` for each command that enters. Returns when the guest's init runs, ends a half-made guest."""
        async with Launcher("guest") as launcher:
            launcher.tell(config)
            process = await _await_init(launcher)
        guest = cls(process, folder, prefix, many_ids=config["many_ids"], boots=bool(config["cgroup"]))
        for listener in launcher.passed:
            await guest._serve_ssh(listener)
        return guest

    async def _serve_ssh(self, listener: socket.socket) -> None:
        """Until the guest ends."""
        from pve_sandbox.guests.ssh_server import GuestSshServer  # takes a while, and few guests have one

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
        """The command on this machine that runs ``command`` inside, with nothing of this machine's environment."""
        variables = {"PATH": GUEST_PATH, "HOME": "/root", "container": "lxc", **environment}
        if tty:
            variables["TERM"] = "xterm-256color"
        # Cleared before the guest is entered: inside, its root could read what this process was started with.
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return [self._environment_tool, "-i", *assignments, *self._enter, *command]

    async def start_services(self) -> None:
        """As a boot does: what the guest's own packages put into runlevel 2. Does not wait for them.

        With systemd the boot has begun already: returns when units can be asked for. ``GuestError`` after 60 s.
        """
        if self._boots:
            await self._hear_systemd()
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

    async def _hear_systemd(self) -> None:
        door = Path(f"/proc/{self._process.pid}/root/run/systemd/private")
        try:
            async with asyncio.timeout(_BOOT_S):
                # Made by a process that tells nobody.
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
        """Ends the init and, with it, every process of the guest."""
        await self._process.kill()
        if self._ssh_end:
            await self._ssh_end
        if self._services:
            await self._services.wait()

    async def terminate(self) -> None:
        """TERM to every process but the init; returns when they are gone, or after 5 s. systemd is told to power off."""
        end = "kill -37 1" if self._boots else "trap '' TERM; kill -TERM -1"  # SIGRTMIN+3, as Proxmox VE sends it
        process = await asyncio.create_subprocess_exec(
            *self.argv(["sh", "-c", end], {}, tty=False),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_S):
                # The kernel tells nobody when these processes end.
                while self._meter.count() > 1:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)


async def _await_init(launcher: Launcher) -> GuestProcess:
    process: GuestProcess | None = None
    is_up = False
    try:
        while (report := await launcher.hear()) is not None:
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
