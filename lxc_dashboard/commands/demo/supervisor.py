"""Child processes that are restarted when they end, with growing pauses, and stopped together."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lxc_dashboard.embedded.process import end, ended, kill_session, spawn

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
STEADY_AFTER_S: Final = 60.0
END_WITHIN_S: Final = 5.0
LOG_LIMIT_BYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """A command to keep running. Its output goes to ``<name>.log``, or stdout to ``stdout_file``.

    Each start truncates ``stdout_file``.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    stdout_file: Path | None = None


class Supervisor:
    """Runs in the main thread's event loop. ``report`` gets a line for each child that ended."""

    def __init__(self, log_folder: Path, report: Callable[[str], None]) -> None:
        self._log_folder = log_folder
        self._report = report
        self.pass_fds: tuple[int, ...] = ()  # every child inherits these
        self._children: dict[str, Child] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def keep(self, child: Child) -> None:
        """Start ``child`` and keep it running until ``stop``."""
        self._children[child.name] = child
        self._running[child.name] = self._spawn(child)
        self._keepers[child.name] = asyncio.create_task(self._keep(child), name=child.name)

    async def restart(self, name: str) -> None:
        """Stop a child and start it again at once, without a report."""
        self._keepers.pop(name).cancel()
        await end(self._running[name], signal.SIGTERM, each_s=END_WITHIN_S)
        self.keep(self._children[name])

    async def once(self, child: Child) -> int:
        """Run ``child`` to its end and return its exit status."""
        process = self._running[child.name] = self._spawn(child)
        await ended(process)
        del self._running[child.name]
        return process.returncode

    def log_of(self, name: str) -> Path:
        return self._log_folder / f"{name}.log"

    def log_tail(self, name: str, lines: int = 12) -> str:
        text = self.log_of(name).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def pids(self) -> dict[str, int]:
        """Process ids of the running children by name."""
        return {name: process.pid for name, process in self._running.items() if process.poll() is None}

    async def stop(self) -> None:
        """Stop all children and their own children."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        running = list(self._running.values())
        await asyncio.gather(*(end(process, signal.SIGTERM, each_s=END_WITHIN_S) for process in running))
        self._running.clear()

    def kill(self) -> None:
        """Kill all children at once."""
        for process in self._running.values():
            kill_session(process)

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            started_at = loop.time()
            process = self._running[child.name]
            await ended(process)
            kill_session(process)  # its own children must not run beside its successor
            if loop.time() - started_at > STEADY_AFTER_S:
                pause = FIRST_PAUSE_S
            status = _status_of(process.returncode)
            self._report(
                f"{child.name} ended ({status}), restarting in {pause:g} s. Its log: {self.log_of(child.name)}"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            self._running[child.name] = self._spawn(child)

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        file = self.log_of(child.name)
        if file.exists() and file.stat().st_size > LOG_LIMIT_BYTES:
            file.replace(file.with_suffix(".old.log"))
        with file.open("ab") as log:
            if child.stdout_file is None:
                return spawn(child.command, env=child.environ, cwd=child.cwd, output=log, pass_fds=self.pass_fds)
            with child.stdout_file.open("wb") as out:
                return spawn(
                    child.command, env=child.environ, cwd=child.cwd, output=out, errors=log, pass_fds=self.pass_fds
                )


def _status_of(returncode: int) -> str:
    if returncode >= 0:
        return f"status {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
