"""An SSH server on loopback that behaves like OpenSSH, with a ``pct`` that runs commands on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.pool import SshPool
from tests.unit.guest.supervised import guest, shell, without_gnu_tail

__all__ = ["guest", "shell", "without_gnu_tail"]

PCT = """#!/bin/sh
# pct exec VMID --keep-env 0 -- COMMAND...
[ "$2" = 404 ] && { echo "Configuration file 'nodes/pve1/lxc/404.conf' does not exist" >&2; exit 2; }
shift 5
exec "$@"
"""


@dataclass
class Node:
    """The server and what it received. ``max_sessions`` is per connection, as in ``sshd_config``."""

    folder: Path
    key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    private_key: str  # exported once: each export differs in a random word
    max_sessions: int = 10
    server: asyncssh.SSHAcceptor | None = None
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    starting: set[asyncio.Task[asyncio.subprocess.Process]] = field(default_factory=set)
    running: set[asyncio.subprocess.Process] = field(default_factory=set)
    accepted: int = 0
    cut_at_auth: bool = False

    async def start(self, port: int = 0) -> None:
        self.server = await asyncssh.create_server(
            lambda: _Server(self),
            "127.0.0.1",
            port,
            server_host_keys=[self.host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(self.key.export_public_key().decode()),
            encoding=None,
            line_editor=False,
        )

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.get_port()

    def address(self, **changes: object) -> SshAddress:
        values: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_key": self.host_key.export_public_key().decode().strip(),
            "private_key": self.private_key,
        }
        return SshAddress(**(values | changes))  # type: ignore[arg-type]  # a test names what it changes

    def cut(self) -> None:
        """End every connection, as a failing network does. Running commands continue."""
        for connection in tuple(self.connections):
            connection.abort()

    async def stop(self) -> None:
        self.cut()
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()
        if self.starting:  # not cancelled: that would hang Python
            await asyncio.wait(self.starting)
        for process in tuple(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process._transport.close()  # type: ignore[attr-defined]  # unread output would keep it open
            await process.wait()

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        starting = asyncio.create_task(self._start(command))
        self.starting.add(starting)
        starting.add_done_callback(self.starting.discard)
        child = await asyncio.shield(starting)
        assert child.stdin
        assert child.stdout
        assert child.stderr
        feeding = asyncio.create_task(_feed(process, child.stdin))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, asyncssh.Error):
            await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
            process.exit(await child.wait())
        feeding.cancel()
        await asyncio.wait([feeding])
        if child.returncode is not None:
            self.running.discard(child)

    async def _start(self, command: str) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin"},
            start_new_session=True,
        )
        self.running.add(child)
        return child


class _Server(asyncssh.SSHServer):
    def __init__(self, node: Node) -> None:
        self._node = node

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._sessions = 0
        self._node.accepted += 1
        self._node.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._node.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        del username
        if self._node.cut_at_auth:
            self._connection.abort()
        return True

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes] | bool:
        if len(self._connection._channels) >= self._node.max_sessions:
            return False
        return asyncssh.SSHServerProcess(self._node.serve, None, 3, False)


async def _feed(process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, asyncssh.Error):
        while data := await process.stdin.read(65536):
            stdin.write(data)
            await stdin.drain()
    stdin.close()


async def _pump(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    shim = tmp_path / "bin" / "pct"
    shim.parent.mkdir()
    shim.write_text(PCT)
    shim.chmod(0o755)
    key, host_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    node = Node(shim.parent, key, host_key, key.export_private_key().decode())
    await node.start()
    yield node
    await node.stop()


@pytest.fixture
async def pool() -> AsyncIterator[SshPool]:
    pool = SshPool()
    yield pool
    await pool.close()
