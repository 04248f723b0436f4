"""The SSH pool against a real SSH server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_EOF

from lxc_dashboard.errors import GuestError, GuestUnreachableError, HostKeyError
from lxc_dashboard.guest.connection import SshAddress, connect
from lxc_dashboard.guest.keys import private_key_of
from lxc_dashboard.guest.pool import IDLE_LIFETIME_S, SshPool, _Address

if TYPE_CHECKING:
    from tests.unit.guest.conftest import Node


async def output_of(pool: SshPool, address: SshAddress, command: str, stdin: bytes = b"") -> tuple[bytes, bytes, int]:
    out = err = b""
    async with pool.channel(address, command) as channel:
        await channel.send(stdin)
        while True:
            more_out, more_err = await channel.read()
            if not (more_out or more_err):
                return out, err, await channel.exit_status()
            out, err = out + more_out, err + more_err


async def test_a_command_gives_both_outputs_and_its_status(node: Node, pool: SshPool) -> None:
    assert await output_of(pool, node.address(), "echo out; echo err >&2; exit 7") == (b"out\n", b"err\n", 7)


async def test_input_reaches_the_command_byte_for_byte(node: Node, pool: SshPool) -> None:
    data = bytes(range(256)) * 20_000
    out, _, status = await output_of(pool, node.address(), "sha256sum", data)
    assert status == 0
    assert out.split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_a_command_that_reads_no_input_still_gives_its_answer(node: Node, pool: SshPool) -> None:
    out, _, status = await output_of(pool, node.address(), "echo early; exit 3", b"x" * 8_000_000)
    assert (out, status) == (b"early\n", 3)


async def test_large_output_arrives_whole_and_waits_for_its_reader(node: Node, pool: SshPool) -> None:
    digest, size = hashlib.sha256(), 0
    async with pool.channel(node.address(), "seq 1 2000000") as channel:
        await channel.send(b"")
        while True:
            out, _ = await channel.read()
            if not out:
                break
            digest.update(out)
            size += len(out)
    expected = "".join(f"{n}\n" for n in range(1, 2_000_001)).encode()
    assert size == len(expected)
    assert digest.hexdigest() == hashlib.sha256(expected).hexdigest()


async def test_what_is_at_hand_wakes_no_thread(node: Node, pool: SshPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread for each line would cost more than processing the line."""
    waked: list[object] = []
    async with pool.channel(
        node.address(), "for n in 1 2 3 4 5; do echo $n; sleep 0.05; done; echo end >&2"
    ) as channel:
        await channel.send(b"")
        with monkeypatch.context() as during:
            during.setattr(channel, "_call", waked.append)
            said = [await channel.read()]
            while any(said[-1]):
                said.append(await channel.read())
    assert b"".join(out for out, _ in said) == b"1\n2\n3\n4\n5\n"
    assert b"".join(err for _, err in said) == b"end\n"
    assert waked == []


async def test_commands_share_one_connection(node: Node, pool: SshPool) -> None:
    for _ in range(5):
        await output_of(pool, node.address(), "true")
    assert node.accepted == 1


async def test_more_commands_than_sessions_open_another_connection(node: Node, pool: SshPool, tmp_path: Path) -> None:
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done"
    asking = asyncio.gather(*(output_of(pool, node.address(), f"{wait}; echo {n}") for n in range(25)))
    async with asyncio.timeout(60):
        while len(node.commands) < 25:
            await asyncio.sleep(0.01)
    (tmp_path / "go").touch()
    assert [out for out, _, _ in await asking] == [f"{n}\n".encode() for n in range(25)]
    assert node.accepted == 3


async def test_checks_at_the_same_time_share_one_answer(node: Node, pool: SshPool) -> None:
    await asyncio.gather(*(pool.check_access(node.address()) for _ in range(100)))
    assert (node.commands, node.accepted) == (["true"], 1)
    await pool.check_access(node.address())
    assert node.commands == ["true"] * 2


async def test_checks_at_the_same_time_share_one_failure(node: Node, pool: SshPool) -> None:
    address = node.address()
    await node.stop()
    answers = await asyncio.gather(*(pool.check_access(address) for _ in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {GuestUnreachableError}


async def test_a_server_with_a_lower_limit_is_learned(node: Node, pool: SshPool) -> None:
    node.max_sessions = 4
    results = await asyncio.gather(*(output_of(pool, node.address(), f"sleep 0.1; echo {n}") for n in range(12)))
    assert [out for out, _, _ in results] == [f"{n}\n".encode() for n in range(12)]


async def test_a_server_that_refuses_every_session_is_named(node: Node, pool: SshPool) -> None:
    node.max_sessions = 0
    with pytest.raises(GuestUnreachableError, match="refuses to open"):
        await output_of(pool, node.address(), "true")


async def test_a_cut_connection_is_told_and_the_next_command_reconnects(node: Node, pool: SshPool) -> None:
    async with pool.channel(node.address(), "echo here; sleep 30") as channel:
        await channel.send(b"")
        assert await channel.read() == (b"here\n", b"")
        node.cut()
        assert await channel.read() == (b"", b"")
        with pytest.raises(GuestUnreachableError):
            await channel.exit_status()
    assert (await output_of(pool, node.address(), "echo again"))[0] == b"again\n"


async def test_another_host_key_stops_everything_before_authentication(node: Node, pool: SshPool) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(HostKeyError, match="not the pinned one") as raised:
        await output_of(pool, node.address(host_key=other), "true")
    assert node.host_key.get_fingerprint() in raised.value.detail
    assert node.commands == []


async def test_a_host_key_of_another_kind_stops_too(node: Node, pool: SshPool) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    with pytest.raises(HostKeyError, match="pinned type"):
        await output_of(pool, node.address(host_key=other), "true")


@pytest.mark.parametrize("pin", ["", "   ", "ssh-ed25519", "ssh-ed25519 ???"])
async def test_without_a_readable_pin_there_is_no_connection(node: Node, pool: SshPool, pin: str) -> None:
    with pytest.raises(HostKeyError):
        await output_of(pool, node.address(host_key=pin), "true")


async def test_a_fingerprint_pins_as_well(node: Node, pool: SshPool) -> None:
    address = node.address(host_key=node.host_key.get_fingerprint())
    assert (await output_of(pool, address, "echo in"))[0] == b"in\n"
    with pytest.raises(HostKeyError):
        await output_of(pool, node.address(host_key="SHA256:" + "A" * 43), "true")


async def test_the_offered_host_key_can_be_asked_for(node: Node, pool: SshPool) -> None:
    offered = await pool.host_key("127.0.0.1", node.port)
    assert node.host_key.export_public_key().decode().startswith(offered)


async def test_a_refused_key_says_where_to_add_it(node: Node, pool: SshPool) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(GuestError, match="authorized_keys") as raised:
        await output_of(pool, node.address(private_key=stranger), "true")
    assert not isinstance(raised.value, GuestUnreachableError)


async def test_a_closed_port_is_unreachable(pool: SshPool, node: Node) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = node.address(port=reserved.getsockname()[1])
        with pytest.raises(GuestUnreachableError, match="cannot be reached"):
            await output_of(pool, address, "true")


async def test_many_waiting_for_a_dead_port_fail_together(pool: SshPool, node: Node) -> None:
    address = node.address(port=1)
    results = await asyncio.gather(*(output_of(pool, address, "true") for _ in range(30)), return_exceptions=True)
    assert all(isinstance(result, GuestUnreachableError) for result in results)


async def test_a_cancelled_reader_gives_its_session_back(node: Node, pool: SshPool) -> None:
    node.max_sessions = 1
    reading = asyncio.create_task(output_of(pool, node.address(), "sleep 30"))
    while not node.commands:
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await output_of(pool, node.address(), "echo free"))[0] == b"free\n"


class IdleConnection:
    """An unused connection. Its close lasts until ``closed`` is set."""

    used, idle_since, alive = 0, 0.0, True

    def __init__(self) -> None:
        self.closing, self.closed = asyncio.Event(), asyncio.Event()

    async def close(self) -> None:
        self.closing.set()
        await self.closed.wait()


async def test_two_who_clear_away_at_once_close_each_idle_connection_once(node: Node, pool: SshPool) -> None:
    first, second = IdleConnection(), IdleConnection()
    known = _Address(node.address(), pool._threads)
    known.connections = [first, second]  # type: ignore[list-item]  # the pool uses nothing else of them
    clearing = asyncio.create_task(known.close_idle(IDLE_LIFETIME_S + 1))
    await first.closing.wait()
    second.closed.set()
    await known.close_idle(IDLE_LIFETIME_S + 1)
    first.closed.set()
    await clearing
    assert known.connections == []


class SingleConnection:
    """A connection with one session, which is in use."""

    used, alive, idle_since = 1, True, 0.0

    @property
    def free(self) -> bool:
        return self.used == 0


async def test_a_session_given_back_to_one_who_goes_is_the_next_ones(
    node: Node, pool: SshPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.guest.pool.CONNECTIONS_PER_ADDRESS", 1)
    known = _Address(node.address(), pool._threads)
    only: Any = SingleConnection()
    known.connections = [only]
    first, second = (asyncio.create_task(known._slot()) for _ in range(2))
    while len(known._freed._waiters) < 2:
        await asyncio.sleep(0)
    await known.release(only)
    first.cancel()
    async with asyncio.timeout(60):
        assert await second is only
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_connection_that_was_just_opened_is_no_idle_one(node: Node, pool: SshPool) -> None:
    opened = await connect(node.address(), pool._threads)
    known = _Address(node.address(), pool._threads)
    known.connections = [opened]
    await known.close_idle(asyncio.get_running_loop().time())
    assert known.connections == [opened]
    await known.close()


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("ssh-ed25519", "openssh"),
        ("ecdsa-sha2-nistp256", "openssh"),
        ("ecdsa-sha2-nistp256", "pkcs1-pem"),
        ("ecdsa-sha2-nistp521", "pkcs8-pem"),
        ("ssh-rsa", "openssh"),
        ("ssh-rsa", "pkcs1-pem"),
        ("ssh-rsa", "pkcs8-pem"),
    ],
)
def test_private_keys_of_every_usual_kind_are_read(kind: str, form: str) -> None:
    key = asyncssh.generate_private_key(kind)
    read = private_key_of(key.export_private_key(form).decode())
    assert read.get_base64() in key.export_public_key().decode()


def test_what_is_no_key_is_refused_without_showing_it() -> None:
    with pytest.raises(GuestError) as raised:
        private_key_of("-----BEGIN OPENSSH PRIVATE KEY-----\nhello\n-----END OPENSSH PRIVATE KEY-----\n")
    assert "hello" not in str(raised.value)


async def test_a_connection_cut_while_it_signs_in_is_no_refused_key(node: Node, pool: SshPool) -> None:
    node.cut_at_auth = True
    with pytest.raises(GuestUnreachableError):
        await output_of(pool, node.address(), "true")
    node.cut_at_auth = False
    assert await output_of(pool, node.address(), "true") == (b"", b"", 0)


if TYPE_CHECKING:
    from tests.unit.guest.conftest import Node

SENDS = "_send_user_message"
LATE_S = 0.3  # by then the command has ended and the server has said so
SENT_WITHIN_S = 30.0


async def test_it_does_not_end_the_connection_that_other_entries_share(
    node: Node, pool: SshPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(command: str) -> bytes:
        async with pool.channel(node.address(), command) as channel:
            await channel.send(b"")
            return (await channel.read())[0]

    send = getattr(paramiko.Transport, SENDS)
    late, sent = threading.Event(), threading.Event()

    def send_late(transport: paramiko.Transport, message: paramiko.Message) -> None:
        is_late = late.is_set() and message.asbytes()[:1] == cMSG_CHANNEL_EOF
        if is_late:
            late.clear()
            time.sleep(LATE_S)
        send(transport, message)
        if is_late:
            sent.set()

    monkeypatch.setattr(paramiko.Transport, SENDS, send_late)
    async with pool.channel(node.address(), "echo begun; exec sleep 60") as other:
        assert (await other.read())[0] == b"begun\n"
        late.set()
        assert await said("echo short") == b"short\n"
        assert await asyncio.to_thread(sent.wait, SENT_WITHIN_S)
        assert await said("echo next") == b"next\n"
        assert node.accepted == 1, "all by one connection, which is there still"
