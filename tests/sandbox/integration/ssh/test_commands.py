"""Commands over SSH: their streams, signals, environment and end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from pve_sandbox.ssh.door import SshDoor
from tests.sandbox.integration.ssh.client import connected, output_of, until

LARGE_BYTES = 50_000_000
LARGE_CPU_S = 8  # of both ends; about 1 is usual


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("exit 3", (3, "", "")),
        ("echo out; echo err >&2", (0, "out\n", "err\n")),
        ("true && false", (1, "", "")),
        ("no-such-command-here", (127, "", "bash: line 1: no-such-command-here: command not found\n")),
    ],
)
async def test_a_command_line_is_run_by_bash(door: SshDoor, command: str, expected: tuple[int, str, str]) -> None:
    async with connected(door) as connection:
        status, output, error = await output_of(connection, command)
    assert (status, output) == expected[:2]
    assert error.endswith(expected[2].removeprefix("bash: line 1: "))


async def test_a_killed_command_reports_its_signal(door: SshDoor) -> None:
    async with connected(door) as connection:
        result = await connection.run("echo before; kill -KILL $$")
        assert result.stdout == "before\n"
        assert result.exit_signal is not None
        assert result.exit_signal[0] == "KILL"


async def test_a_signal_of_the_client_reaches_the_command(door: SshDoor) -> None:
    async with connected(door) as connection:
        process = await connection.create_process(
            "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
        )
        assert await process.stdout.readline() == "ready\n"
        process.terminate()
        result = await process.wait()
        assert (result.stdout, result.returncode) == ("told\n", 5)


async def test_the_environment_is_a_nodes_not_ours(door: SshDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "planted")
    async with connected(door) as connection:
        result = await connection.run("env", env={"LC_TEST": "kept", "OTHER": "dropped"})
        assert isinstance(result.stdout, str)
        lines = result.stdout.splitlines()
    assert "LC_TEST=kept" in lines
    assert not any(line.startswith(("OTHER=", "PLANTED_SECRET=")) for line in lines)
    assert "USER=root" in lines


async def test_a_large_output_comes_whole_and_fast(door: SshDoor) -> None:
    async with connected(door) as connection:
        begin = time.process_time()
        result = await connection.run(f"head -c {LARGE_BYTES} /dev/zero", encoding=None)
        seconds = time.process_time() - begin
    assert isinstance(result.stdout, bytes)
    assert len(result.stdout) == LARGE_BYTES
    assert seconds < LARGE_CPU_S


async def test_a_large_input_comes_whole(door: SshDoor, tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    target = tmp_path / "uploaded"
    async with connected(door) as connection:
        assert await output_of(connection, f"cat > {target}", data) == (0, "", "")
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(data).digest()


async def test_a_command_that_does_not_read_its_input_ends(door: SshDoor) -> None:
    async with connected(door) as connection:
        assert (await output_of(connection, "exit 4", b"x" * 3_000_000))[0] == 4


async def test_a_slow_reader_slows_the_command(door: SshDoor, tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f"for n in $(seq 100); do head -c 1000000 /dev/zero; echo $n >{counted}; done"
    async with connected(door) as connection:
        process = await connection.create_process(script, encoding=None, window=65536)
        await process.stdout.readexactly(1_000_000)
        noted: list[str] = []  # the file may be empty in between, because each count replaces it

        def seen() -> bool:
            noted[:] = counted.read_text().split() if counted.exists() else []
            return bool(noted)

        await until(seen)
        assert int(noted[0]) < 60
        total = 1_000_000
        while chunk := await process.stdout.read(1_000_000):
            total += len(chunk)
        assert total == 100_000_000


async def test_the_status_comes_while_something_still_holds_the_output(door: SshDoor, tmp_path: Path) -> None:
    release = tmp_path / "release"
    script = f"(while [ ! -e {release} ]; do sleep 0.02; done; echo late) & echo early; exit 6"
    async with connected(door) as connection:
        process = await connection.create_process(script)
        assert await process.stdout.readline() == "early\n"
        await until(lambda: process.returncode == 6)
        release.touch()
        assert await process.stdout.read() == "late\n"
        await process.wait_closed()


async def test_a_command_goes_on_when_its_client_is_gone(door: SshDoor, tmp_path: Path) -> None:
    release, done = tmp_path / "release", tmp_path / "done"
    script = f"echo started; while [ ! -e {release} ]; do sleep 0.02; done; echo ended >{done}"
    async with connected(door) as connection:
        process = await connection.create_process(script)
        assert await process.stdout.readline() == "started\n"
        connection.abort()
    release.touch()
    await until(lambda: done.exists() and done.read_text() == "ended\n")


async def test_closing_the_door_ends_what_still_runs(door: SshDoor, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    async with connected(door) as connection:
        await connection.create_process(f"echo $$ >{pid_file}; exec sleep 3456789")
        await until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        await door.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_a_command_of_the_node_dies_with_a_killed_sandbox(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("this machine has no setpriv")
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from pve_sandbox.ssh.door import NodeShell\n"
        "async def main():\n"
        "    shell = NodeShell(Path(sys.argv[1]), None)\n"
        "    plan = await shell.plan('echo $$; exec sleep 4567890', {}, tty=False)\n"
        "    await (await asyncio.create_subprocess_exec(*plan.argv)).wait()\n"
        "asyncio.run(main())\n"
    )
    project = Path(__file__).resolve().parents[4]
    sandbox = await asyncio.create_subprocess_exec(
        *(shutil.which("env") or "env", f"PYTHONPATH={project}", sys.executable, "-c", program, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert sandbox.stdout
    pid = int(await sandbox.stdout.readline())
    sandbox.send_signal(signal.SIGKILL)
    await sandbox.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await until(gone)
