"""The supervisor restarts its children, and they never outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lxc_dashboard.commands.demo.supervisor import Child, Supervisor
from tests.processes import alive

PROJECT = Path(__file__).parents[3]
ENVIRON = {"PATH": os.environ["PATH"]}

# Keeps a child that has a child of its own, and prints their pids.
KEEPER = """
import asyncio, sys
from pathlib import Path
from lxc_dashboard.commands.demo.supervisor import Child, Supervisor

async def main():
    supervisor = Supervisor(Path(sys.argv[1]), print)
    supervisor.keep(Child("sleeper", ["sleep", "3600"], {"PATH": "/usr/bin:/bin"}))
    print(*supervisor.pids().values(), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, said: list[str]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path, said.append)
    yield supervisor
    await supervisor.stop()


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


async def test_a_child_that_dies_is_named_with_its_cause_and_log_and_started_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.keep(Child("sleeper", ["sleep", "3600"], ENVIRON))
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids().get("sleeper", first) != first)
    assert said == [f"sleeper ended (SIGKILL), restarting in 0.5 s. Its log: {tmp_path / 'sleeper.log'}"]


async def test_pauses_grow_while_a_child_keeps_failing(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.keep(Child("broken", script("echo what is wrong; exit 3"), ENVIRON))
    await until(lambda: len(said) >= 3)
    assert [line.split("restarting in ")[1].split(" ")[0] for line in said[:3]] == ["0.5", "1", "2"]
    assert "(status 3)" in said[0]
    assert supervisor.log_tail("broken").startswith("what is wrong\nwhat is wrong")


async def test_what_a_dead_child_had_started_ends_before_its_successor_begins(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    file, seen = tmp_path / "grandchild", tmp_path / "seen"
    look = f"[ ! -e {file} ] || {{ grep -s ^State: /proc/$(cat {file})/status; echo looked; }} > {seen}"
    supervisor.keep(Child("parent", script(f"{look}; sleep 3600 & echo $! > {file}; wait"), ENVIRON))
    await until(lambda: file.exists() and file.read_text().endswith("\n"))
    grandchild = int(file.read_text())
    os.kill(supervisor.pids()["parent"], signal.SIGKILL)
    await until(lambda: seen.exists() and seen.read_text().endswith("looked\n"))
    assert not alive(grandchild)
    assert seen.read_text() == "looked\n" or "zombie" in seen.read_text()


async def test_stopping_ends_all_children_even_those_that_do_not_listen(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.commands.demo.supervisor.END_WITHIN_S", 0.3)
    supervisor.keep(Child("polite", ["sleep", "3600"], ENVIRON))
    supervisor.keep(Child("deaf", script("trap '' TERM; echo ready; while :; do sleep 3600; done"), ENVIRON))
    pids = supervisor.pids()
    await until(lambda: supervisor.log_of("deaf").read_text() == "ready\n")
    await supervisor.stop()
    assert not [pid for pid in pids.values() if alive(pid)]
    assert said == []


async def test_a_restart_on_purpose_is_silent(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.keep(Child("sleeper", ["sleep", "3600"], ENVIRON))
    first = supervisor.pids()["sleeper"]
    await supervisor.restart("sleeper")
    assert supervisor.pids()["sleeper"] != first
    assert said == []


async def test_a_child_run_once_gives_its_status_and_its_words(supervisor: Supervisor) -> None:
    assert await supervisor.once(Child("job", script("echo out; echo err >&2; exit 4"), ENVIRON)) == 4
    assert supervisor.log_tail("job") == "out\nerr"
    assert supervisor.pids() == {}


async def test_stdout_may_go_to_a_file_of_its_own_which_begins_anew(supervisor: Supervisor, tmp_path: Path) -> None:
    for _ in range(2):
        await supervisor.once(Child("job", script("echo out; echo err >&2"), ENVIRON, stdout_file=tmp_path / "said"))
    assert (tmp_path / "said").read_text() == "out\n"
    assert supervisor.log_tail("job") == "err\nerr"


async def test_killing_the_supervisor_kills_its_children(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", KEEPER, str(tmp_path)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline())
        assert alive(pid)
        keeper.kill()
    await until(lambda: not alive(pid))
