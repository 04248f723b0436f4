"""Who may log in over SSH, how many at once, terminals, files, and faults."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.ssh.door import SshDoor
from pve_sandbox.ssh.server import MAX_SESSIONS
from tests.sandbox.integration.ssh.client import connected, output_of, until


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """Ignore SIGINT, as a shell does for a background process."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


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


# Channels


async def test_the_eleventh_channel_is_refused_and_one_that_ended_makes_room(door: SshDoor) -> None:
    async with connected(door) as connection:
        processes = [await connection.create_process("read -r line; echo $line") for _ in range(MAX_SESSIONS)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process("true")
        for process in processes:
            process.stdin.write_eof()
            await process.wait_closed()
        assert (await output_of(connection, "echo again"))[1] == "again\n"


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
        assert await output_of(connection, "trap 'echo interrupted' INT; kill -INT $$") == (0, "interrupted\n", "")
    await door.close()
    await guests.close()


async def test_a_terminal_has_a_size_and_takes_control_characters(door: SshDoor) -> None:
    async with connected(door) as connection:
        process = await connection.create_process(
            # a shell that waits for a command passes the interrupt to it; when ready, it waits for none
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
        assert (await output_of(connection, "echo back"))[1] == "back\n"


async def test_latency_delays_each_answer(door: SshDoor) -> None:
    door.latency_s = 0.2
    async with connected(door) as connection:
        begin = time.monotonic()
        assert (await output_of(connection, "echo late"))[1] == "late\n"
        assert time.monotonic() - begin >= 0.4


async def test_the_door_reopens_on_its_port_with_its_key(door: SshDoor) -> None:
    port, key = door.port, door.host_key
    await door.close()
    await door.start()
    assert (door.port, door.host_key) == (port, key)
    async with connected(door) as connection:
        assert (await output_of(connection, "pct status 101"))[1] == "status: stopped\n"


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
