"""The whole demo as an operator starts it: it starts, ends, leaves nothing behind, and finds its data again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lxc_dashboard import frontend
from lxc_dashboard.embedded.folder import free_port
from tests.processes import alive

PROJECT = Path(__file__).parents[3]
UP_WITHIN_S = 90
GONE_WITHIN_S = 60

pytestmark = pytest.mark.timeout(300)


@dataclass
class Demo:
    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, word: str, within_s: float = UP_WITHIN_S) -> None:
        """Wait until the demo has printed ``word``."""
        until(lambda: word in self.said() or self.process.poll() is not None, within_s, self.said)
        assert word in self.said()

    def member(self, word: bytes) -> int:
        """The one process of the demo whose command line holds ``word``, perhaps just before its ``exec``."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [pid for pid in self.family() if word in command_line(pid)]
            return len(found) == 1

        until(look, UP_WITHIN_S, self.said)
        return found[0]

    def family(self) -> set[int]:
        """The pids of the demo and all its descendants."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        family = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return family


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def until(holds: Callable[[], bool], within_s: float, told: Callable[[], object]) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


def wait_until_gone(pids: set[int]) -> None:
    def left() -> list[bytes]:
        return [command_line(pid) for pid in pids if alive(pid)]

    until(lambda: not left(), GONE_WITHIN_S, left)


@pytest.fixture(scope="module", autouse=True)
def _pages() -> None:
    frontend.ensure_built(os.environ)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[[], Demo]]:
    """Start the demo in this test's folder; it is ready when it has printed everything."""
    started: list[Demo] = []

    def start() -> Demo:
        command = [sys.executable, "-u", "-m", "lxc_dashboard.cli", "demo", "--guests", "simulated"]
        output = tmp_path / f"output-{len(started)}"
        with output.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--data", str(tmp_path / "demo"), "--port", str(free_port())],
                cwd=PROJECT,
                env=os.environ | {"PYTHONPATH": str(PROJECT)},
                stdout=out,
                stderr=out,
            )
        started.append(Demo(process, output))
        started[-1].wait_for("Ctrl-C stops the demo")
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def key(folder: Path) -> str:
    return str(json.loads((folder / "demo" / "demo.json").read_text())["encryption_key"])


def test_it_comes_up_and_after_kill_9_nothing_is_left_and_the_next_finds_its_data(
    demo: Callable[[], Demo], tmp_path: Path
) -> None:
    first = demo()
    family = first.family()
    assert len(family) > 8
    assert "root@pam" in first.said()
    assert (tmp_path / "demo" / "demo.json").stat().st_mode & 0o777 == 0o600
    before = key(tmp_path)
    first.process.kill()
    wait_until_gone(family)

    second = demo()
    assert key(tmp_path) == before
    environ = dict(line.split("=", 1) for line in (tmp_path / "demo" / "environment").read_text().splitlines())
    listed = subprocess.run(
        [sys.executable, "-m", "lxc_dashboard.cli", "node", "list", "--json"],
        cwd=PROJECT,
        env=os.environ | environ,
        capture_output=True,
        check=True,
    )
    assert [node["name"] for node in json.loads(listed.stdout)] == ["sandbox"]
    family = second.family()
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(GONE_WITHIN_S) == 0
    wait_until_gone(family)


USUAL_PORTS = (3001, 5432, 6379, 8006, 2222)


@pytest.fixture
def _usual_ports_taken() -> Iterator[None]:
    """Take the usual ports, unless another process holds them already."""
    with contextlib.ExitStack() as held:
        for port in USUAL_PORTS:
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.fixture
def make_demo(tmp_path: Path) -> Iterator[Callable[[], Demo]]:
    """``make demo`` as in the README, with an empty home, another port, and a folder for this test."""
    home = tmp_path / "home"
    home.mkdir()
    started: list[Demo] = []

    def start() -> Demo:
        environ = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        environ |= {"HOME": str(home), "PORT": str(free_port()), "DEMO_DATA": str(tmp_path / "demo")}
        output = tmp_path / f"make-{len(started)}"
        with output.open("wb") as out:
            process = subprocess.Popen(
                ["make", "demo"], cwd=PROJECT, env=environ, stdout=out, stderr=out, start_new_session=True
            )
        started.append(Demo(process, output))
        started[-1].wait_for("Ctrl-C stops the demo")
        assert f"http://localhost:{environ['PORT']}" in started[-1].said()
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.full
@pytest.mark.usefixtures("_usual_ports_taken")
def test_make_demo_on_a_bare_machine_leaves_no_server_after_kill_9_and_finds_its_data(
    make_demo: Callable[[], Demo], tmp_path: Path
) -> None:
    first = make_demo()
    family = first.family()
    assert [pid for pid in family if b"postgres" in command_line(pid)]
    before = key(tmp_path)
    first.process.kill()
    wait_until_gone(family)

    second = make_demo()
    assert key(tmp_path) == before
    family = second.family()
    os.killpg(second.process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    wait_until_gone(family)


@pytest.mark.full
def test_a_child_that_is_killed_comes_back_and_is_named(demo: Callable[[], Demo]) -> None:
    running = demo()
    for name, word in (("worker", b"commands.worker"), ("valkey", b"valkey-server")):
        victim = running.member(word)
        os.kill(victim, signal.SIGKILL)
        running.wait_for(f"{name} ended")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(GONE_WITHIN_S) == 0


def test_a_second_demo_on_the_same_folder_is_refused(demo: Callable[[], Demo], tmp_path: Path) -> None:
    running = demo()
    command = [sys.executable, "-m", "lxc_dashboard.cli", "demo", "--data", str(tmp_path / "demo")]
    second = subprocess.run(
        [*command, "--port", str(free_port())], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"in use by process {running.process.pid}" in second.stderr
