"""``pct`` over SSH, with the best kind of guest on this machine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import shlex
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import paramiko
import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.ssh.door import SshDoor

VMID, STOPPED, MISSING = 101, 102, 999
NAMES = {VMID: "web-01", STOPPED: "web-02"}
DEADLINE_S = 60
REFUSALS = [
    ("pct exec 102 -- true", 255, "container '102' not running!\n"),
    ("pct exec 999 -- true", 2, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist\n"),
    ("pct status 999", 2, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist\n"),
    ("pct enter 102", 255, "container '102' not running!\n"),
    ("pct stop 102", 255, "CT 102 not running\n"),
    ("pct start 101", 255, "CT 101 already running\n"),
    ("pct push 102 /etc/hostname /x", 255, "can only push files to a running CT\n"),
    ("pct pull 102 /etc/hostname /nowhere/x", 255, "can only pull files from a running CT\n"),
    ("pct exec 101", 255, "missing command\n"),
    ("pct exec", 255, "400 not enough arguments\npct exec <vmid> [<extra-args>] [OPTIONS]\n"),
    ("pct push 101 /etc/hostname /no/such/folder/x", 255, ""),
    ("pct push 101 /no/such/file /x", 255, ""),
    ("pct exec 101 --nonsense -- true", 255, "Unknown option: nonsense\n"),
    ("pct frobnicate 101", 255, "ERROR: unknown command 'pct frobnicate'\n"),
    ("pct status web-01", 255, "400 Parameter verification failed.\n"),
]


class Node:
    """An SSH server with a running and a stopped guest, and a client."""

    def __init__(self, door: SshDoor, guests: GuestHost, client: asyncssh.SSHClientConnection) -> None:
        self.door, self.guests, self.client = door, guests, client

    async def run(self, command: str, text: bytes | None = None) -> tuple[int, bytes, str]:
        result = await self.client.run(command, input=text, encoding=None)
        assert isinstance(result.stdout, bytes)
        assert isinstance(result.stderr, bytes)
        return result.returncode or 0, result.stdout, result.stderr.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests, because the base of an ordinary user's guests takes seconds to copy."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def node(folder: Path) -> AsyncIterator[Node]:
    guests = await pick_host(folder)
    door = SshDoor(folder, guests, node_of=lambda _: "pve1", name_of=lambda vmid: NAMES[vmid])
    try:
        if guests.kind == "simulated":
            pytest.skip("this machine allows no real guests")
        for vmid, name in NAMES.items():
            await guests.create(GuestSpec(vmid, name))
        await guests.start(VMID)
        await door.start()
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{door.port} {door.host_key}\n")
        key = asyncssh.import_private_key(door.client_key)
        async with asyncssh.connect(
            "127.0.0.1", door.port, username="root", client_keys=[key], known_hosts=known, config=None
        ) as client:
            yield Node(door, guests, client)
    finally:
        await door.close()
        for vmid in await guests.recover():
            await guests.destroy(vmid)
        await guests.close()


@pytest.mark.parametrize("form", ["{}", "true; {}"], ids=["alone", "in a shell"])
async def test_exec_passes_streams_and_status_on(node: Node, form: str) -> None:
    command = form.format(
        shlex.join(["pct", "exec", "101", "--", "sh", "-c", "cat; hostname; echo it\\'s >&2; exit 7"])
    )
    assert await node.run(command, b"\0input\n") == (7, b"\0input\nweb-01\n", "it's\n")


@pytest.mark.parametrize("form", ["{}", "true; {}"], ids=["alone", "in a shell"])
async def test_words_arrive_as_they_were_quoted(node: Node, form: str) -> None:
    words = ["a b", "it's", "$HOME", "`id`", '"', "*", "", "new\nline", "ü", "--", "-n", "\\", "#", "~"]
    command = form.format(shlex.join(["pct", "exec", "101", "--", "printf", "%s\\0", *words]))
    status, output, _ = await node.run(command)
    assert (status, output.decode().split("\0")[:-1]) == (0, words)


async def test_exec_keeps_the_callers_environment_unless_told_otherwise(node: Node) -> None:
    status, output, _ = await node.run("KEPT=yes pct exec 101 -- env")
    assert status == 0
    assert "KEPT=yes" in output.decode().splitlines()
    assert "PATH=/sbin:/bin:/usr/sbin:/usr/bin" in output.decode().splitlines()
    status, output, _ = await node.run("KEPT=yes pct exec 101 --keep-env 0 -- env")
    assert status == 0
    names = {line.split("=")[0] for line in output.decode().splitlines()}
    assert names <= {"PATH", "HOME", "container", "PWD", "SHLVL", "_"}


async def test_exec_takes_its_options_where_pct_does(node: Node) -> None:
    for command in (
        "pct exec 101 --keep-env 0 -- hostname",
        "pct exec --keep-env=0 101 hostname",
        "pct exec 101 hostname",
    ):
        assert await node.run(command) == (0, b"web-01\n", "")


async def test_pct_works_inside_a_longer_line(node: Node, tmp_path: Path) -> None:
    line = f"echo piped | pct exec 101 -- cat > {tmp_path}/out && pct exec 101 -- cat < {tmp_path}/out | tr a-z A-Z"
    assert await node.run(line) == (0, b"PIPED\n", "")


@pytest.mark.parametrize("form", ["{}", "true; {}"], ids=["alone", "in a shell"])
async def test_refusals_have_pcts_words_and_status(node: Node, form: str) -> None:
    for command, status, error in REFUSALS:
        result = await node.run(form.format(command))
        assert (result[0], result[1]) == (status, b""), command
        assert result[2].startswith(error), command
        assert result[2], command


async def test_status_and_list(node: Node) -> None:
    assert await node.run("pct status 101") == (0, b"status: running\n", "")
    assert await node.run("pct status 102") == (0, b"status: stopped\n", "")
    _, output, _ = await node.run("pct list")
    rows = [line.split() for line in output.decode().splitlines()]
    assert rows == [["VMID", "Status", "Lock", "Name"], ["101", "running", "web-01"], ["102", "stopped", "web-02"]]


async def test_guests_are_started_and_stopped(node: Node) -> None:
    assert await node.run("pct start 102") == (0, b"", "")
    assert node.guests.is_running(STOPPED)
    assert await node.run("pct shutdown 102") == (0, b"", "")
    assert await node.run("pct stop 101") == (0, b"", "")
    assert not node.guests.is_running(VMID)
    assert await node.run("pct unlock 101") == (0, b"", "")


async def test_push_and_pull_keep_the_bytes(node: Node, tmp_path: Path) -> None:
    data = os.urandom(2_000_000)
    (tmp_path / "a file").write_bytes(data)
    script = f"cd {tmp_path} && pct push 101 'a file' /root/pushed --perms 0600 && pct pull 101 /root/pushed back"
    assert await node.run(script) == (0, b"", "")
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert (await run_in(node.guests, VMID, ["stat", "-c", "%a %u", "/root/pushed"]))[1] == b"600 0\n"


async def test_a_pushed_file_gets_its_owner_by_name(node: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert await node.run(f"pct push 101 {tmp_path}/file /x --user www-data --group www-data") == (0, b"", "")
    expected = b"root\n" if node.guests.kind == "rootless-single" else b"www-data\n"
    assert (await run_in(node.guests, VMID, ["stat", "-c", "%U", "/x"]))[1] == expected
    status, _, error = await node.run(f"pct push 101 {tmp_path}/file /x --user no-such-user")
    assert (status, error) == (255, "unable to find user 'no-such-user'\n")


async def test_enter_gives_a_shell_on_a_terminal(node: Node) -> None:
    process = await node.client.create_process("pct enter 101", term_type="xterm", term_size=(90, 25))
    process.stdin.write("PS1=; stty size; hostname; exit 3\n")
    result = await process.wait()
    assert isinstance(result.stdout, str)
    assert "25 90" in result.stdout
    assert "web-01" in result.stdout
    assert result.returncode == 3


async def test_a_command_in_a_guest_outlives_its_client(node: Node) -> None:
    script = "echo started; while [ ! -e /root/release ]; do sleep 0.02; done; echo ended >/root/done"
    process = await node.client.create_process(shlex.join(["pct", "exec", "101", "--", "sh", "-c", script]))
    assert await process.stdout.readline() == "started\n"
    node.door.drop_connections()
    await run_in(node.guests, VMID, ["touch", "/root/release"])
    async with asyncio.timeout(DEADLINE_S):
        while (await run_in(node.guests, VMID, ["cat", "/root/done"])) != (0, b"ended\n"):
            await asyncio.sleep(0.02)


async def test_paramiko_streams_files_both_ways(node: Node) -> None:
    data = os.urandom(10_000_000)

    def talk() -> tuple[int, bytes]:
        kind, encoded = node.door.host_key.split()
        client = paramiko.SSHClient()
        host_key = paramiko.Ed25519Key(data=base64.b64decode(encoded))
        client.get_host_keys().add(f"[127.0.0.1]:{node.door.port}", kind, host_key)
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(node.door.client_key))
        with socket.create_connection(("127.0.0.1", node.door.port)) as wire:
            client.connect(
                "127.0.0.1", node.door.port, "root", pkey=key, sock=wire, allow_agent=False, look_for_keys=False
            )
            stdin, stdout, _ = client.exec_command("pct exec 101 -- sh -c 'cat > /root/f; sha256sum < /root/f'")
            stdin.write(data)
            stdin.channel.shutdown_write()
            digest = stdout.read().split()[0]
            _, stdout, _ = client.exec_command("pct exec 101 -- cat /root/f")
            back = stdout.read()
            status = stdout.channel.recv_exit_status()
            client.close()
        assert back == data
        return status, digest

    status, digest = await asyncio.to_thread(talk)
    assert (status, digest.decode()) == (0, hashlib.sha256(data).hexdigest())
