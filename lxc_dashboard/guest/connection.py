"""One SSH connection and its channels. paramiko blocks, so each of its calls runs in a thread."""

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
from lxc_dashboard.guest.keys import check_host_key, pinned_algorithms, private_key_of

if TYPE_CHECKING:
    import paramiko

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 10
DEAD_AFTER_S: Final = 20
SEND_TIMEOUT_S: Final = 60.0
STATUS_WAIT_S: Final = 0.5
SESSIONS_PER_CONNECTION: Final = 10  # OpenSSH's MaxSessions
T = TypeVar("T")


def lost_errors() -> tuple[type[Exception], ...]:
    """What paramiko raises when a connection is lost or refused. Web processes seldom need paramiko: it costs 8 MiB."""
    from paramiko import SSHException

    return SSHException, OSError, EOFError


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where and as whom. ``host_key`` is the pinned one, ``ssh-ed25519 AAAA...`` or ``SHA256:...``."""

    host: str
    port: int
    user: str
    host_key: str
    private_key: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class Threads:
    """Runs blocking calls in threads; what such a call opened after its caller was cancelled is closed again."""

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
        with contextlib.suppress(RuntimeError):  # the pool may be closed by now, its transports with it
            self._executor.submit(undo, result)


class SshChannel:
    """One command on the server. Made by ``SshConnection.open``."""

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
        self._descriptor = self._channel.fileno()  # a pipe of paramiko's, readable while data or the end is there

    @property
    def ended(self) -> bool:
        """Whether the server has closed it, or said that no more output follows."""
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
            # A command may end without reading its input: then its exit status is the answer, not the closed pipe.
            if not self._transport.is_active():
                raise

    def _end_input(self) -> None:
        """As paramiko's ``shutdown_write``, which lets go of the lock before it sends: the server may close the channel in between,
        and ends the whole connection, other channels with it, for what comes after the answer to that.
        """
        with self._channel.lock:
            end = self._channel._send_eof()  # type: ignore[attr-defined] # noqa: SLF001 - as paramiko does
            if end is not None:
                self._transport._send_user_message(end)  # type: ignore[attr-defined] # noqa: SLF001

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """The next bytes of stdout and stderr; two empty ones at the end."""
        while True:
            if self._is_quiet():
                await self._wait_readable()
            if self._is_at_hand(limit_bytes):
                out, err, ended = self._take(limit_bytes)
            else:
                out, err, ended = await self._call(lambda: self._take(limit_bytes))
            if out or err or ended:
                return out, err

    def _is_quiet(self) -> bool:
        """Asked on the loop, since it waits for nobody."""
        channel = self._channel
        return not (channel.closed or channel.eof_received or channel.recv_ready() or channel.recv_stderr_ready())

    def _is_at_hand(self, limit_bytes: int) -> bool:
        """Whether to take it sends nothing: paramiko tells the server of the room made after each tenth of its window."""
        channel = self._channel
        ready = min(limit_bytes, len(channel.in_buffer)) + min(limit_bytes, len(channel.in_stderr_buffer))
        return channel.in_window_sofar + ready <= channel.in_window_threshold

    def _take(self, limit_bytes: int) -> tuple[bytes, bytes, bool]:
        # The end is asked before the data: asked after, bytes that came in between would be lost.
        ended = bool(self._channel.eof_received or self._channel.closed)
        ready, told = len(self._channel.in_buffer), len(self._channel.in_stderr_buffer)
        out = self._channel.recv(min(ready, limit_bytes)) if ready else b""
        err = self._channel.recv_stderr(min(told, limit_bytes)) if told else b""
        return out, err, ended

    async def _wait_readable(self) -> None:
        if self._descriptor is None:
            raise GuestUnreachableError(detail=f"{self._name}: the channel is closed")
        self._readable.clear()
        self._loop.add_reader(self._descriptor, self._readable.set)
        try:
            await self._readable.wait()
        finally:
            self._loop.remove_reader(self._descriptor)

    async def exit_status(self) -> int:
        """Raises ``GuestUnreachableError`` where the connection went before the status came."""
        told = self._channel.status_event
        while not (told.is_set() or await self._threads.call(lambda: told.wait(STATUS_WAIT_S))):
            continue
        status = self._channel.exit_status
        if status < 0:
            raise GuestUnreachableError("The SSH connection was lost", detail=self._name)
        return status

    async def close(self) -> None:
        self._descriptor = None
        with contextlib.suppress(GuestUnreachableError):  # a dead connection has closed it already
            await self._call(self._channel.close)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await self._threads.call(work)
        except lost_errors() as error:
            raise GuestUnreachableError("The SSH connection was lost", detail=f"{self._name}: {error}") from error


class SshConnection:
    """A connection with a number of free sessions, which a refusal of the server lowers."""

    def __init__(self, transport: paramiko.Transport, address: SshAddress, threads: Threads) -> None:
        self._transport = transport
        self._address = address
        self._threads = threads
        self.capacity = SESSIONS_PER_CONNECTION
        self.used = 0  # sessions open or asked for
        self.opened = 0
        self.idle_since = asyncio.get_running_loop().time()

    @property
    def alive(self) -> bool:
        return self._transport.is_active()

    @property
    def free(self) -> bool:
        return self.alive and self.used < self.capacity

    async def open(self) -> SshChannel | None:
        """A new channel; None where the server refuses another one on this connection."""
        try:
            channel = await self._threads.call(
                lambda: self._transport.open_session(timeout=CONNECT_TIMEOUT_S),
                undo=lambda opened: opened.close(),
            )
        except lost_errors() as error:
            if not self.alive:
                raise GuestUnreachableError(detail=f"{self._address.name}: {error}") from error
            # Refused: the server's limit is lower than OpenSSH's default. Remember it for this connection.
            self.capacity = max(1, min(self.capacity, self.opened))
            log.info("ssh session refused", address=self._address.name, why=str(error), capacity=self.capacity)
            return None
        return SshChannel(channel, self._transport, self._address.name, self._threads)

    async def close(self) -> None:
        await self._threads.call(self._transport.close)


async def connect(address: SshAddress, threads: Threads) -> SshConnection:
    """Raises ``GuestUnreachableError``, ``HostKeyError``, and ``KeyRefusedError``."""
    transport = await threads.call(lambda: open_transport(address), undo=lambda opened: opened.close())
    return SshConnection(transport, address, threads)


async def offered_host_key(host: str, port: int, threads: Threads) -> str:
    """The key that a server shows, ``ssh-ed25519 AAAA...``, for an operator to confirm once. Nothing is sent to it."""

    def work() -> str:
        transport = _handshake(host, port, ())
        try:
            key = transport.get_remote_server_key()
            return f"{key.get_name()} {key.get_base64()}"
        finally:
            transport.close()

    return await threads.call(work)


def open_transport(address: SshAddress) -> paramiko.Transport:
    """Signed in. Blocks. Raises as ``connect``."""
    import paramiko

    key = private_key_of(address.private_key)
    transport = _handshake(address.host, address.port, pinned_algorithms(address.host_key))
    try:
        check_host_key(transport.get_remote_server_key(), address.host_key, f"{address.host}:{address.port}")
        transport.auth_publickey(address.user, key)
    except paramiko.AuthenticationException as error:
        # paramiko calls a connection that was cut in the middle of it a failed authentication, too.
        refused = transport.is_active()
        transport.close()
        if not refused:
            raise GuestUnreachableError(detail=f"{address.name}: {error}") from error
        raise KeyRefusedError(
            f"{address.name} refuses the SSH key of the dashboard. Add it to authorized_keys", detail=str(error)
        ) from error
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
        reason = error.strerror or str(error)
        raise GuestUnreachableError(f"SSH on {where} cannot be reached: {reason}", detail=str(error)) from error
    transport: paramiko.Transport | None = None
    try:
        _keep_honest(sock)
        transport = paramiko.Transport(sock)
        _greet(transport, algorithms)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        if transport is not None:
            transport.close()
        sock.close()  # a transport that never began leaves it open
        raise _told(error, where, algorithms) from error
    return transport


def _greet(transport: paramiko.Transport, algorithms: tuple[str, ...]) -> None:
    transport.banner_timeout = transport.auth_timeout = CONNECT_TIMEOUT_S
    if algorithms:
        transport.get_security_options().key_types = algorithms
    transport.start_client(timeout=CONNECT_TIMEOUT_S)


def _told(error: Exception, where: str, algorithms: tuple[str, ...]) -> GuestError:
    if isinstance(error, ValueError):  # paramiko knows no such key type
        return HostKeyError(f"The pinned SSH host key of {where} is of no known kind", detail=" ".join(algorithms))
    from paramiko.ssh_exception import IncompatiblePeer

    if isinstance(error, IncompatiblePeer) and algorithms:
        return HostKeyError(f"SSH on {where} does not show a host key of the pinned kind", detail=str(error))
    return GuestUnreachableError(f"SSH on {where} does not answer as SSH", detail=str(error))


def _keep_honest(sock: socket.socket) -> None:
    """Small writes leave at once, and a peer that vanished is noticed within ``DEAD_AFTER_S``."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)


ANSWER_TIMEOUT_S: Final = 30.0


class SshPipe:
    """``read`` and ``write`` block, each for at most ``ANSWER_TIMEOUT_S`` without a byte.

    Opening it raises ``GuestUnreachableError``, ``HostKeyError``, and ``GuestError`` where the key is refused.
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
            raise GuestUnreachableError(f"{address.name} runs no command", detail=str(error)) from error
        self.stderr = self._channel.makefile_stderr("rb")

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer at the end of output."""
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
