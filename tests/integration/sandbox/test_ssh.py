"""The SSH door by itself: OpenSSH's manners, keys, faults on demand. The guests behind it are simulated."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from lxc_dashboard.sandbox.guests import pick_host
from lxc_dashboard.sandbox.guests.base import GuestSpec
from lxc_dashboard.sandbox.openssh import MAX_SESSIONS
from lxc_dashboard.sandbox.ssh import SshDoor

VMID = 101
LARGE_BYTES = 50_000_000
LARGE_CPU_S = 8  # of both ends: about one
DEADLINE_S = 20


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """As a shell starts what is to run behind it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[SshDoor]:
    guests = await pick_host(tmp_path, "simulated")
    await guests.create(GuestSpec(VMID, "web-01"))
    it = SshDoor(tmp_path, guests, node_of=lambda _: "pve1", name_of=lambda _: "web-01")
    await it.start()
    yield it
    await it.close()
    await guests.close()


@asynccontextmanager
async def connected(
    door: SshDoor, username: str = "root", key: str = ""
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{door.port} {door.host_key}\n")
    private = asyncssh.import_private_key(key or door.client_key)
    async with asyncssh.connect(
        "127.0.0.1", door.port, username=username, client_keys=[private], known_hosts=known, config=None
    ) as connection:
        yield connection


async def said(
    connection: asyncssh.SSHClientConnection, command: str, text: bytes | None = None
) -> tuple[int, str, str]:
    result = await connection.run(command, input=text, encoding=None)
    assert isinstance(result.stdout, bytes)
    assert isinstance(result.stderr, bytes)
    return result.returncode or 0, result.stdout.decode(), result.stderr.decode()


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


# Who may enter


async def test_keys_stay_and_are_ours_alone(tmp_path: Path, door: SshDoor) -> None:
    other = SshDoor(tmp_path, await pick_host(tmp_path / "other", "simulated"), node_of=lambda _: "pve1")
    assert (other.host_key, other.client_key) == (door.host_key, door.client_key)
    assert door.host_key.startswith("ssh-ed25519 AAAA")
    assert "OPENSSH PRIVATE KEY" in door.client_key
    for name in ("host_key", "client_key"):
        assert stat.S_IMODE((tmp_path / "ssh" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ssh").stat().st_mode) == 0o700


async def test_only_root_with_the_key_may_enter(door: SshDoor) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    for username, key in (("root", stranger), ("somebody", door.client_key)):
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(door, username, key):
                pytest.fail("a stranger came in")
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            "127.0.0.1", door.port, username="root", password="root", client_keys=None, known_hosts=None, config=None
        )


async def test_it_listens_on_loopback(door: SshDoor) -> None:
    own = f"{door.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert {fields[1] for fields in lines if fields[1].endswith(f":{own}") and fields[3] == "0A"} == {f"0100007F:{own}"}


# Commands


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
        status, output, error = await said(connection, command)
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
        assert await said(connection, f"cat > {target}", data) == (0, "", "")
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(data).digest()


async def test_a_command_that_does_not_read_its_input_ends(door: SshDoor) -> None:
    async with connected(door) as connection:
        assert (await said(connection, "exit 4", b"x" * 3_000_000))[0] == 4


async def test_a_slow_reader_slows_the_command(door: SshDoor, tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f"for n in $(seq 100); do head -c 1000000 /dev/zero; echo $n >{counted}; done"
    async with connected(door) as connection:
        process = await connection.create_process(script, encoding=None, window=65536)
        await process.stdout.readexactly(1_000_000)
        noted: list[str] = []  # the file may be empty again: each count is written anew

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


# Channels


async def test_the_eleventh_channel_is_refused_and_one_that_ended_makes_room(door: SshDoor) -> None:
    async with connected(door) as connection:
        processes = [await connection.create_process("read -r line; echo $line") for _ in range(MAX_SESSIONS)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process("true")
        for process in processes:
            process.stdin.write_eof()
            await process.wait_closed()
        assert (await said(connection, "echo again"))[1] == "again\n"


async def test_twenty_channels_over_two_connections_work_at_once(door: SshDoor) -> None:
    async with connected(door) as one, connected(door) as two:
        processes = [await line.create_process("cat; exit 9") for line in (one, two) for _ in range(MAX_SESSIONS)]
        for number, process in enumerate(processes):
            process.stdin.write(f"{number}\n" * 1000)
            process.stdin.write_eof()
        results = await asyncio.gather(*(process.wait() for process in processes))
    assert [result.stdout for result in results] == [f"{number}\n" * 1000 for number in range(2 * MAX_SESSIONS)]
    assert {result.returncode for result in results} == {9}


@pytest.mark.usefixtures("in_the_background")
async def test_commands_can_be_interrupted_whoever_started_the_sandbox(tmp_path: Path) -> None:
    guests = await pick_host(tmp_path, "simulated")
    door = SshDoor(tmp_path, guests, node_of=lambda _: "pve1")
    await door.start()
    async with connected(door) as connection:
        assert await said(connection, "trap 'echo interrupted' INT; kill -INT $$") == (0, "interrupted\n", "")
    await door.close()
    await guests.close()


async def test_a_terminal_has_a_size_and_takes_control_characters(door: SshDoor) -> None:
    async with connected(door) as connection:
        process = await connection.create_process(
            # bash takes an interrupt for one of the command that it waits for: when it is ready it waits for none
            "trap 'stty size; echo interrupted; exit 8' INT; stty size; echo ready; while :; do read -r; done",
            term_type="xterm",
            term_size=(100, 30),
        )
        assert await process.stdout.readline() == "30 100\r\n"
        assert await process.stdout.readline() == "ready\r\n"
        process.change_terminal_size(80, 20)
        process.stdin.write("\x03")
        result = await process.wait()
    assert isinstance(result.stdout, str)
    assert "20 80" in result.stdout
    assert "interrupted" in result.stdout
    assert result.returncode == 8


async def test_a_shell_without_a_command_is_interactive(door: SshDoor) -> None:
    async with connected(door) as connection:
        process = await connection.create_process(term_type="dumb")
        process.stdin.write("PS1=; echo from-$((1+1)); command -v pct; exit 2\n")
        result = await process.wait()
    assert isinstance(result.stdout, str)
    assert "from-2" in result.stdout
    assert "bin/pct" in result.stdout
    assert result.returncode == 2


async def test_a_terminal_hangs_up_when_its_client_is_gone(door: SshDoor, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    async with connected(door) as connection:
        process = await connection.create_process(
            f"trap 'echo hung-up >{noted}; exit' HUP; echo ready; while :; do sleep 0.02; done", term_type="xterm"
        )
        assert await process.stdout.readline() == "ready\r\n"
        connection.abort()
    await until(lambda: noted.exists() and noted.read_text() == "hung-up\n")


async def test_files_pass_by_sftp(door: SshDoor, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(300_000))
    async with connected(door) as connection, connection.start_sftp_client() as sftp:
        await sftp.put(str(source), str(target))
        assert target.read_bytes() == source.read_bytes()


# Faults on demand


async def test_dropped_connections_are_lost_to_the_client(door: SshDoor) -> None:
    async with connected(door) as connection:
        process = await connection.create_process("sleep 1000")
        assert door.drop_connections() == 1
        await process.wait_closed()
        with pytest.raises((asyncssh.Error, OSError)):
            await connection.run("true")
    assert door.drop_connections() == 0


async def test_refused_connections_come_back(door: SshDoor) -> None:
    door.refuse = True
    with pytest.raises((asyncssh.Error, OSError)):
        async with connected(door):
            pytest.fail("the door was open")
    door.refuse = False
    async with connected(door) as connection:
        assert (await said(connection, "echo back"))[1] == "back\n"


async def test_latency_delays_each_answer(door: SshDoor) -> None:
    door.latency_s = 0.2
    async with connected(door) as connection:
        begin = time.monotonic()
        assert (await said(connection, "echo late"))[1] == "late\n"
        assert time.monotonic() - begin >= 0.4


async def test_the_door_reopens_on_its_port_with_its_key(door: SshDoor) -> None:
    port, key = door.port, door.host_key
    await door.close()
    await door.start()
    assert (door.port, door.host_key) == (port, key)
    async with connected(door) as connection:
        assert (await said(connection, "pct status 101"))[1] == "status: stopped\n"


async def test_openssh_itself_comes_in(door: SshDoor, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("this machine has no ssh")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{door.port} {door.host_key}\n")
    options = [
        "BatchMode=yes",
        f"UserKnownHostsFile={known}",
        f"IdentityFile={tmp_path / 'ssh/client_key'}",
        "IdentitiesOnly=yes",
    ]
    process = await asyncio.create_subprocess_exec(
        "ssh",
        "-F",
        "/dev/null",
        *(word for option in options for word in ("-o", option)),
        "-p",
        str(door.port),
        "root@127.0.0.1",
        "cat; pct list; exit 11",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, error = await process.communicate(b"through\n")
    assert process.returncode == 11, error.decode()
    assert output.decode().splitlines()[0] == "through"
    assert output.decode().splitlines()[2].split() == ["101", "stopped", "web-01"]


async def test_a_command_of_the_node_dies_with_a_killed_sandbox(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("this machine has no setpriv")
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from lxc_dashboard.sandbox.shell import NodeShell\n"
        "async def main():\n"
        "    shell = NodeShell(Path(sys.argv[1]), None)\n"
        "    plan = await shell.plan('echo $$; exec sleep 4567890', {}, tty=False)\n"
        "    await (await asyncio.create_subprocess_exec(*plan.argv)).wait()\n"
        "asyncio.run(main())\n"
    )
    project = Path(__file__).resolve().parents[3]
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
