"""SSH connections and their channels. paramiko blocks, so its calls run in threads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from lxc_dashboard.errors import GuestError, GuestUnreachableError, HostKeyError, KeyRefusedError
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.guest.keys import check_host_key, pinned_algorithms, private_key_of
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    import paramiko

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 10
DEAD_AFTER_S: Final = 20
SEND_TIMEOUT_S: Final = 60.0
STATUS_WAIT_S: Final = 0.5
SESSIONS_PER_CONNECTION: Final = 10  # OpenSSH's default for MaxSessions
T = TypeVar("T")


def lost_errors() -> tuple[type[Exception], ...]:
    """Return what paramiko raises for a lost or refused connection. Imports it late, because it costs 8 MiB."""
    from paramiko import SSHException

    return SSHException, OSError, EOFError


@dataclass(frozen=True, slots=True)
class SshAddress:
    """The address of an SSH server. ``host_key`` is pinned: ``ssh-ed25519 AAAA...`` or ``SHA256:...``."""

    host: str
    port: int
    user: str
    host_key: str
    private_key: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class Threads:
    """Run blocking calls in threads. Where the caller is cancelled, ``undo`` closes what the call opened."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def call(self, work: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda done: self._dispose(done, undo))
            raise

    def _dispose(self, done: asyncio.Future[T], undo: Callable[[T], object] | None) -> None:
        if done.cancelled() or done.exception() is not None or undo is None:
            return
        result = done.result()
        with contextlib.suppress(RuntimeError):  # the executor may be shut down by now, its transports with it
            self._executor.submit(undo, result)


class SshChannel:
    """One command on the server, made by ``SshConnection.open``."""

    def __init__(self, channel: paramiko.Channel, transport: paramiko.Transport, name: str, threads: Threads) -> None:
        self._channel = channel
        self._transport = transport
        self._name = name
        self._threads = threads
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None

    async def start(self, command: str) -> None:
        await self._call(lambda: self._channel.exec_command(command))
        self._descriptor = self._channel.fileno()  # a pipe of paramiko, readable while there is data or the end

    @property
    def ended(self) -> bool:
        """Whether the server has closed the channel or ended its output."""
        return bool(self._channel.closed or self._channel.eof_received)

    async def send(self, data: bytes, *, end: bool = True) -> None:
        """Send all of ``data`` and, with ``end``, the end of input."""

        def work() -> None:
            self._channel.settimeout(SEND_TIMEOUT_S)
            try:
                self._channel.sendall(data)
            finally:
                self._channel.settimeout(None)
            if end:
                self._end_input()

        try:
            await self._call(work)
        except GuestUnreachableError:
            # A command may end without reading its input. Then its exit status counts, not the closed pipe.
            if not self._transport.is_active():
                raise

    def _end_input(self) -> None:
        """End the input, as paramiko's ``shutdown_write``, but under the channel's lock.

        paramiko releases the lock before it sends. The server may close the channel in between, and then ends the
        whole connection, with its other channels, for a message on a closed channel.
        """
        with self._channel.lock:
            end = self._channel._send_eof()  # type: ignore[attr-defined] # noqa: SLF001 - as paramiko does
            if end is not None:
                self._transport._send_user_message(end)  # type: ignore[attr-defined] # noqa: SLF001

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """Return the next bytes of stdout and stderr, two empty ones at the end."""
        while True:
            if self._is_quiet():
                await self._wait_readable()
            if self._is_buffered(limit_bytes):
                out, err, ended = self._take(limit_bytes)
            else:
                out, err, ended = await self._call(lambda: self._take(limit_bytes))
            if out or err or ended:
                return out, err

    def _is_quiet(self) -> bool:
        """Return whether there is nothing to read. Never blocks, so it runs on the loop."""
        channel = self._channel
        return not (channel.closed or channel.eof_received or channel.recv_ready() or channel.recv_stderr_ready())

    def _is_buffered(self, limit_bytes: int) -> bool:
        """Return whether a read sends nothing: paramiko reports freed space after each tenth of its window."""
        channel = self._channel
        ready = min(limit_bytes, len(channel.in_buffer)) + min(limit_bytes, len(channel.in_stderr_buffer))
        return channel.in_window_sofar + ready <= channel.in_window_threshold

    def _take(self, limit_bytes: int) -> tuple[bytes, bytes, bool]:
        # Read the end before the data: otherwise bytes that arrive in between are lost.
        ended = bool(self._channel.eof_received or self._channel.closed)
        stdout_bytes, stderr_bytes = len(self._channel.in_buffer), len(self._channel.in_stderr_buffer)
        out = self._channel.recv(min(stdout_bytes, limit_bytes)) if stdout_bytes else b""
        err = self._channel.recv_stderr(min(stderr_bytes, limit_bytes)) if stderr_bytes else b""
        return out, err, ended

    async def _wait_readable(self) -> None:
        if self._descriptor is None:
            raise GuestUnreachableError(Message.of(GuestCode.SSH_LOST), detail=self._name)
        self._readable.clear()
        self._loop.add_reader(self._descriptor, self._readable.set)
        try:
            await self._readable.wait()
        finally:
            self._loop.remove_reader(self._descriptor)

    async def exit_status(self) -> int:
        """Return the exit status. Raises ``GuestUnreachableError`` where the connection was lost before it."""
        status_event = self._channel.status_event
        while not (status_event.is_set() or await self._threads.call(lambda: status_event.wait(STATUS_WAIT_S))):
            continue
        status = self._channel.exit_status
        if status < 0:
            raise GuestUnreachableError(Message.of(GuestCode.SSH_LOST), detail=self._name)
        return status

    async def close(self) -> None:
        self._descriptor = None
        with contextlib.suppress(GuestUnreachableError):  # a dead connection has closed it already
            await self._call(self._channel.close)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await self._threads.call(work)
        except lost_errors() as error:
            raise GuestUnreachableError(Message.of(GuestCode.SSH_LOST), detail=f"{self._name}: {error}") from error


class SshConnection:
    """A connection with a number of free sessions. A refusal of the server lowers that number."""

    def __init__(self, transport: paramiko.Transport, address: SshAddress, threads: Threads) -> None:
        self._transport = transport
        self._address = address
        self._threads = threads
        self.capacity = SESSIONS_PER_CONNECTION
        self.used = 0  # sessions that are open or requested
        self.opened = 0
        self.idle_since = asyncio.get_running_loop().time()

    @property
    def alive(self) -> bool:
        return self._transport.is_active()

    @property
    def free(self) -> bool:
        return self.alive and self.used < self.capacity

    async def open(self) -> SshChannel | None:
        """Open a channel. None: the server refuses another one on this connection."""
        try:
            channel = await self._threads.call(
                lambda: self._transport.open_session(timeout=CONNECT_TIMEOUT_S),
                undo=lambda opened: opened.close(),
            )
        except lost_errors() as error:
            if not self.alive:
                raise GuestUnreachableError(detail=f"{self._address.name}: {error}") from error
            # The server's limit is lower than OpenSSH's default: keep it for this connection.
            self.capacity = max(1, min(self.capacity, self.opened))
            log.info("ssh session refused", address=self._address.name, reason=str(error), capacity=self.capacity)
            return None
        return SshChannel(channel, self._transport, self._address.name, self._threads)

    async def close(self) -> None:
        await self._threads.call(self._transport.close)


async def connect(address: SshAddress, threads: Threads) -> SshConnection:
    """Connect and sign in. Raises ``GuestUnreachableError``, ``HostKeyError``, ``KeyRefusedError``, ``GuestError``."""
    transport = await threads.call(lambda: open_transport(address), undo=lambda opened: opened.close())
    return SshConnection(transport, address, threads)


async def offered_host_key(host: str, port: int, threads: Threads) -> str:
    """Return the server's host key, ``ssh-ed25519 AAAA...``, for an operator to confirm. Sends nothing else."""

    def work() -> str:
        transport = _handshake(host, port, ())
        try:
            key = transport.get_remote_server_key()
            return f"{key.get_name()} {key.get_base64()}"
        finally:
            transport.close()

    return await threads.call(work)


def open_transport(address: SshAddress) -> paramiko.Transport:
    """Return a signed-in transport. Blocks. Raises as ``connect``."""
    import paramiko

    key = private_key_of(address.private_key)
    transport = _handshake(address.host, address.port, pinned_algorithms(address.host_key))
    try:
        check_host_key(transport.get_remote_server_key(), address.host_key, f"{address.host}:{address.port}")
        transport.auth_publickey(address.user, key)
    except paramiko.AuthenticationException as error:
        # paramiko also reports a connection lost during sign-in as a failed authentication.
        refused = transport.is_active()
        transport.close()
        if not refused:
            raise GuestUnreachableError(detail=f"{address.name}: {error}") from error
        raise KeyRefusedError(Message.of(GuestCode.SSH_KEY_REFUSED, address=address.name), detail=str(error)) from error
    except lost_errors() as error:
        transport.close()
        raise GuestUnreachableError(detail=f"{address.name}: {error}") from error
    except HostKeyError:
        transport.close()
        raise
    transport.set_keepalive(KEEPALIVE_S)
    return transport


def _handshake(host: str, port: int, algorithms: tuple[str, ...]) -> paramiko.Transport:
    import paramiko

    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    except OSError as error:
        reason = Message.of(GuestCode.SSH_UNREACHABLE, address=where, reason=error.strerror or str(error))
        raise GuestUnreachableError(reason, detail=str(error)) from error
    transport: paramiko.Transport | None = None
    try:
        _set_socket_options(sock)
        transport = paramiko.Transport(sock)
        _greet(transport, algorithms)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        if transport is not None:
            transport.close()
        sock.close()  # a transport that never started leaves it open
        raise _handshake_error(error, where, algorithms) from error
    return transport


def _greet(transport: paramiko.Transport, algorithms: tuple[str, ...]) -> None:
    transport.banner_timeout = transport.auth_timeout = CONNECT_TIMEOUT_S
    if algorithms:
        transport.get_security_options().key_types = algorithms
    transport.start_client(timeout=CONNECT_TIMEOUT_S)


def _handshake_error(error: Exception, where: str, algorithms: tuple[str, ...]) -> GuestError:
    if isinstance(error, ValueError):  # paramiko does not know this key type
        return HostKeyError(Message.of(GuestCode.PIN_OF_UNKNOWN_TYPE, address=where), detail=" ".join(algorithms))
    from paramiko.ssh_exception import IncompatiblePeer

    if isinstance(error, IncompatiblePeer) and algorithms:
        return HostKeyError(Message.of(GuestCode.HOST_KEY_OTHER_TYPE, address=where), detail=str(error))
    return GuestUnreachableError(Message.of(GuestCode.SSH_NO_SERVER, address=where), detail=str(error))


def _set_socket_options(sock: socket.socket) -> None:
    """Send small writes at once, and notice a vanished peer within ``DEAD_AFTER_S``."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)


ANSWER_TIMEOUT_S: Final = 30.0


class SshPipe:
    """One command on an SSH server, for a library with blocking reads and writes.

    ``read`` and ``write`` block for at most ``ANSWER_TIMEOUT_S`` without a byte. Opening raises as
    ``open_transport``.
    """

    def __init__(self, address: SshAddress, command: bytes) -> None:
        self._transport = open_transport(address)
        try:
            self._channel = self._transport.open_session(timeout=ANSWER_TIMEOUT_S)
            self._channel.settimeout(ANSWER_TIMEOUT_S)
            self._channel.exec_command(command)
            self._output = self._channel.makefile("rb")
        except lost_errors() as error:
            self._transport.close()
            refused = Message.of(GuestCode.SSH_NO_COMMAND, address=address.name)
            raise GuestUnreachableError(refused, detail=str(error)) from error
        self.stderr = self._channel.makefile_stderr("rb")

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end of output."""
        return bytes(self._output.read(size))

    def write(self, data: bytes) -> int:
        self._channel.sendall(data)
        return len(data)

    def can_read(self) -> bool:
        return self._channel.recv_ready()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):  # a dead connection has closed it already
            self._channel.close()
        self._transport.close()
