"""An SSH server like OpenSSH: by key only, ``MaxSessions``, and commands that outlive clients."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import asyncssh
from asyncssh.channel import SSHChannel

from pve_sandbox.ssh.session import Shell, serve

MAX_SESSIONS = 10  # OpenSSH's default, for each connection
USER = "root"
_ALGORITHM = "ssh-ed25519"


def persistent_key(path: Path) -> str:
    """Return the private key in ``path``, and create it on first use."""
    if not path.exists():
        key = asyncssh.generate_private_key(_ALGORITHM, comment="lxc-dashboard sandbox")
        partial = path.with_suffix(".new")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
        partial.rename(path)
    return path.read_text(encoding="ascii")


class SshServer(ABC):
    """Base of the SSH servers. ``files``: whether SFTP and scp reach this machine's files.

    For tests: ``refuse`` counts the new connections to refuse, ``refused`` those refused so far. ``latency_s`` delays
    the start of each command and each piece of output.
    """

    files = False

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.refuse = False
        self.refused = 0
        self.latency_s = 0.0
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._commands: set[asyncio.Task[None]] = set()

    @abstractmethod
    def may_enter(self, username: str, key: asyncssh.SSHKey) -> bool | Awaitable[bool]:
        """Whether the holder of ``key`` may log in."""

    async def listen(self, host_key: asyncssh.SSHKey, **where: object) -> None:
        """Listen. ``where`` as in ``asyncssh.listen``. ``OSError`` if the port is taken."""
        self._acceptor = await asyncssh.listen(
            **where,
            server_factory=lambda: _Connection(self),
            server_host_keys=[host_key],
            server_version="LXC-Dashboard-Sandbox",
            encoding=None,
            agent_forwarding=False,
            x11_forwarding=False,
            compression_algs=None,
            line_editor=False,
        )

    async def close(self) -> None:
        """End connections and the commands that still run."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor:
            acceptor.close()
        self.drop_connections()
        if acceptor:
            await acceptor.wait_closed()
        for task in tuple(self._commands):
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    def drop_connections(self) -> int:
        """Abort every connection, as a network failure does. Returns their number."""
        connections = tuple(self._connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    def opened(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.add(connection)

    def closed(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.discard(connection)

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run in a task of the server, so that a command outlives its connection."""
        task = asyncio.create_task(serve(process, self.shell, lambda: self.latency_s))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)


class _Connection(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self._sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.opened(conn)
        if self._server.refuse:
            self._server.refused += 1
            conn.abort()

    def connection_lost(self, _: Exception | None) -> None:
        if self._connection:
            self._server.closed(self._connection)

    def begin_auth(self, _: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool | Awaitable[bool]:
        return self._server.may_enter(username, key)

    def session_requested(self) -> bool | asyncssh.SSHServerSession[bytes]:
        if self._sessions >= MAX_SESSIONS:
            return False
        self._sessions += 1
        return _Session(self._server, self._session_ended)

    def _session_ended(self) -> None:
        self._sessions -= 1


def _files(channel: SSHChannel[bytes]) -> asyncssh.SFTPServer:
    return asyncssh.SFTPServer(cast("asyncssh.SSHServerChannel[bytes]", channel))


class _Session(asyncssh.SSHServerProcess[bytes]):
    """A command, shell, SFTP or scp session. It counts against ``MaxSessions`` until it ends."""

    def __init__(self, server: SshServer, ended: Callable[[], None]) -> None:
        super().__init__(server.serve, _files if server.files else None, sftp_version=3, allow_scp=server.files)
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        super().connection_lost(exc)
