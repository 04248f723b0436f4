"""A folder with the supervisor, in every shell of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "lxc_dashboard" / "guest"
SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
DEADLINE_S = 60  # an upper bound: nothing here takes so long
GRACE_TICKS = 10
NAMESPACES = (
    shutil.which("unshare")
    and not subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], check=False, capture_output=True
    ).returncode
)


@dataclass
class Guest:
    """A guest folder with the supervisor. ``path`` is the PATH of its commands."""

    folder: Path
    shell: list[str]
    path: str = os.environ["PATH"]
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    def hurries(self, patient: str, hasty: str) -> None:
        """Shorten the supervisor's waits."""
        supervisor = self.folder / "supervisor.sh"
        text = supervisor.read_text()
        assert patient in text
        supervisor.write_text(text.replace(patient, hasty))

    async def start(
        self, script: str, step: str = "s1", *, timeout_s: int = 30, offset: int = 0
    ) -> asyncio.subprocess.Process:
        data = script.encode()
        process = await asyncio.create_subprocess_exec(
            *self.shell,
            str(self.folder / "supervisor.sh"),
            *("run", "NONCE", step, "script.sh", str(timeout_s), str(offset), str(len(data))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": self.path},
            start_new_session=True,
        )
        assert process.stdin
        process.stdin.write(data)
        process.stdin.close()
        self.processes.append(process)
        return process

    async def run(
        self, script: str, step: str = "s1", *, timeout_s: int = 30, offset: int = 0
    ) -> tuple[bytes, list[str]]:
        """Return the output and the words of the end line."""
        process = await self.start(script, step, timeout_s=timeout_s, offset=offset)
        return await self.end_of(process)

    @staticmethod
    async def end_of(process: asyncio.subprocess.Process) -> tuple[bytes, list[str]]:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
        ends = [line.split()[2:] for line in err.decode().splitlines() if line.startswith("NONCE end ")]
        assert len(ends) == 1, err
        return out, ends[0]

    async def stop(self, step: str = "s1") -> None:
        process = await asyncio.create_subprocess_exec(
            *self.shell, str(self.folder / "supervisor.sh"), "stop", step, env={"PATH": self.path}
        )
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()

    async def until_exists(self, *names: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not all((self.folder / name).exists() for name in names):
                await asyncio.sleep(0.01)

    def supervisor_pid(self, step: str = "s1") -> int:
        return int((self.folder / "steps" / step / "supervisor").read_text().split()[0])


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@pytest.fixture
def guest(tmp_path: Path, shell: list[str]) -> Iterator[Guest]:
    for name in ("supervisor.sh", "helpers.sh"):
        shutil.copy(SOURCES / name, tmp_path)
    guest = Guest(tmp_path, shell)
    guest.hurries("grace_ticks=50 ", f"grace_ticks={GRACE_TICKS} ")
    yield guest
    for group in tmp_path.glob("steps/*/group"):
        with_group(int(group.read_text().split()[0]), signal.SIGKILL)


def with_group(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


async def until_gone(group: int) -> None:
    """Wait until a process is gone. A killed process is listed until init reaps it."""
    async with asyncio.timeout(DEADLINE_S):
        while with_group(group, signal.SIGCONT):
            await asyncio.sleep(0.02)


@pytest.fixture
def without_gnu_tail(guest: Guest) -> Guest:
    """A guest whose ``tail`` has no ``--pid``, as in busybox."""
    bins = guest.folder / "bin"
    bins.mkdir()
    tail = bins / "tail"
    tail.write_text(
        f'#!/bin/sh\ncase $* in *--pid*) echo "unrecognized option" >&2; exit 1 ;; esac\nexec {shutil.which("tail")} "$@"\n'
    )
    tail.chmod(0o755)
    guest.path = f"{bins}:{guest.path}"
    return guest
