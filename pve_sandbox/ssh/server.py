"""An SSH server like OpenSSH: by key only, ``MaxSessions``, and commands that outlive clients.

As in OpenSSH, the exit status of a command is sent when its process ends. The channel closes when its output ends, too. A
process without a client continues with closed streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import asyncssh
import structlog
from asyncssh.channel import SSHChannel
from asyncssh.packet import UInt32

from pve_sandbox.ssh.pct import Reply, Run

log = structlog.get_logger(__name__)

_CHUNK_BYTES = 256 * 1024
_Process = asyncssh.SSHServerProcess[bytes]
_GONE = (asyncssh.Error, OSError)  # raised when the client is gone


class Shell(Protocol):
    """Where commands run. ``environment`` is that of the process from ``plan``, and has ``HOME``."""

    def environment(self, requested: Mapping[str, str]) -> dict[str, str]: ...
    async def plan(self, command: str | None, environment: Mapping[str, str], *, tty: bool) -> Run | Reply: ...


@dataclass(slots=True)
class _Child:
    """``master`` is our end of the pseudo-terminal, -1 without one."""

    process: asyncio.subprocess.Process
    outputs: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]]
    master: int = -1
    stdin: asyncio.StreamWriter | None = None


async def serve(client: _Process, shell: Shell, latency_s: Callable[[], float]) -> None:
    """Run the client's command until it ends, even if the client is gone."""
    requested = {_text(name): _text(value) for name, value in client.channel.get_environment().items()}
    environment = shell.environment(requested)
    tty = client.term_type is not None
    if tty:
        environment["TERM"] = client.term_type or "dumb"
    try:
        await asyncio.sleep(latency_s())
        plan = await shell.plan(client.command, environment, tty=tty)
        if isinstance(plan, Reply):
            await _reply(client, plan)
            return
        if tty:
            child = await _start_on_terminal(plan.argv, environment, client.term_size)
        else:
            child = await _start_on_pipes(plan.argv, environment)
    except _GONE as error:
        log.info("command not started", error=str(error))
        client.close()
        return
    await _run_to_end(client, child, latency_s)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


async def _reply(client: _Process, reply: Reply) -> None:
    client.stdout.write(reply.output.encode())
    client.stderr.write(reply.error.encode())
    client.exit(reply.status)


async def _start_on_pipes(argv: Sequence[str], environment: dict[str, str]) -> _Child:
    outputs, ends = [], []
    for _ in range(2):
        read_end, write_end = os.pipe()
        outputs.append(await _reader(os.fdopen(read_end, "rb", 0)))
        ends.append(write_end)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=ends[0],
            stderr=ends[1],
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
        )
    except OSError:
        for _, transport in outputs:
            transport.close()
        raise
    finally:
        for end in ends:
            os.close(end)
    return _Child(process, outputs, stdin=process.stdin)


async def _start_on_terminal(
    argv: Sequence[str], environment: dict[str, str], size: tuple[int, int, int, int]
) -> _Child:
    master, slave = os.openpty()
    _resize(master, size)
    try:
        process = await asyncio.create_subprocess_exec(
            "env",
            "--default-signal=HUP",  # nohup ignores it, and a shell cannot undo that
            "setsid",
            "--ctty",
            "--wait",
            *argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=environment["HOME"],
        )
    except OSError:
        os.close(master)
        raise
    finally:
        os.close(slave)
    output = await _reader(os.fdopen(os.dup(master), "rb", 0))
    return _Child(process, [output], master=master)


async def _reader(file: BinaryIO) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_CHUNK_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader, transport


def _resize(master: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, *_ = size
    if master >= 0 and columns and rows:
        termios.tcsetwinsize(master, (rows, columns))


async def _run_to_end(client: _Process, child: _Child, latency_s: Callable[[], float]) -> None:
    writers = (client.stdout, client.stderr)
    pumps = [
        asyncio.create_task(_pump_out(reader, writer, latency_s))
        for (reader, _), writer in zip(child.outputs, writers, strict=False)
    ]
    feeding = asyncio.create_task(_pump_in(client, child))
    leaving = asyncio.create_task(client.channel.wait_closed())
    leaving.add_done_callback(lambda _: _hang_up(child, [*pumps, feeding]))
    try:
        status = await child.process.wait()
        if status >= 0:
            _report_status(client, status)
        await asyncio.gather(*pumps, return_exceptions=True)
        _close(client, status)
    finally:
        for task in (*pumps, feeding, leaving):
            task.cancel()
        await asyncio.gather(*pumps, feeding, leaving, return_exceptions=True)
        _hang_up(child, ())
        if child.process.returncode is None:  # the server closes
            _signal(child, signal.SIGKILL)
            await child.process.wait()


def _hang_up(child: _Child, pumps: Sequence[asyncio.Task[None]]) -> None:
    """Close our ends: the process reads EOF and fails on writes, or its terminal hangs up."""
    for pump in pumps:
        pump.cancel()
    for _, transport in child.outputs:
        transport.close()
    if child.stdin:
        child.stdin.close()
    if child.master >= 0:
        asyncio.get_running_loop().remove_writer(child.master)
        os.close(child.master)
        child.master = -1


async def _pump_out(
    reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes], latency_s: Callable[[], float]
) -> None:
    with contextlib.suppress(*_GONE):  # a terminal ends with an error
        while chunk := await reader.read(_CHUNK_BYTES):
            if delay_s := latency_s():
                await asyncio.sleep(delay_s)
            writer.write(chunk)
            await writer.drain()


async def _pump_in(client: _Process, child: _Child) -> None:
    while True:
        try:
            data = await client.stdin.read(_CHUNK_BYTES)
        except asyncssh.TerminalSizeChanged as change:
            _resize(child.master, (change.width, change.height, 0, 0))
            continue
        except asyncssh.SignalReceived as received:
            _signal(child, _number(received.signal))
            continue
        except asyncssh.BreakReceived:
            continue
        except _GONE:
            data = b""
        if not data:
            break
        await _feed(child, data)
    if child.stdin:
        child.stdin.close()


async def _feed(child: _Child, data: bytes) -> None:
    """Write to stdin. A process that closed it loses the input only."""
    with contextlib.suppress(OSError):
        if child.stdin:
            child.stdin.write(data)
            await child.stdin.drain()
        else:
            await _type(child, data)


async def _type(child: _Child, data: bytes) -> None:
    """Write to a terminal as fast as its command reads."""
    loop = asyncio.get_running_loop()
    while data and child.master >= 0:
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(child.master, _set_ready, writable)
        try:
            await writable
        finally:
            if child.master >= 0:
                loop.remove_writer(child.master)
        if child.master >= 0:
            data = data[os.write(child.master, data) :]


def _set_ready(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _number(name: str) -> int:
    return getattr(signal, f"SIG{name}", signal.SIGTERM)


def _signal(child: _Child, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)


def _report_status(client: _Process, status: int) -> None:
    """Send the exit status at once. More output may follow.

    ``exit`` of asyncssh closes the channel instead.
    """
    if not client.channel.is_closing():
        with contextlib.suppress(*_GONE):
            client.channel._send_request(b"exit-status", UInt32(status))  # noqa: SLF001


def _close(client: _Process, status: int) -> None:
    with contextlib.suppress(*_GONE):
        if status < 0:
            client.channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            client.close()


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
