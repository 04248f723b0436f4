"""The SSH connections of a process to nodes and guests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from lxc_dashboard.errors import GuestError, GuestUnreachableError
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.guest.connection import SshAddress, SshChannel, SshConnection, Threads, connect, offered_host_key
from lxc_dashboard.messages import Message

log = structlog.get_logger(__name__)

CONNECTIONS_PER_ADDRESS: Final = 16
IDLE_LIFETIME_S: Final = 120.0
SLOT_TIMEOUT_S: Final = 60.0
THREADS: Final = 32
REFUSALS: Final = 3
_CLOSE_TIMEOUT_S: Final = 5.0


class _Address:
    """The connections to one address. All of it runs on one event loop, so only awaits interleave."""

    def __init__(self, address: SshAddress, threads: Threads) -> None:
        self._address = address
        self._threads = threads
        self._freed = asyncio.Condition()
        self._connecting: asyncio.Task[None] | None = None
        self.access_check: asyncio.Task[None] | None = None
        self.connections: list[SshConnection] = []

    async def acquire(self) -> tuple[SshConnection, SshChannel]:
        refusals = 0
        async with asyncio.timeout(SLOT_TIMEOUT_S):
            while True:
                connection = await self._slot()
                was_idle = connection.used == 0
                channel = await self._open(connection)
                if channel is not None:
                    return connection, channel
                refusals += was_idle
                if refusals >= REFUSALS:
                    raise GuestUnreachableError(Message.of(GuestCode.SSH_NO_SESSION, address=self._address.name))

    async def _open(self, connection: SshConnection) -> SshChannel | None:
        connection.used += 1
        try:
            channel = await connection.open()
        except BaseException:
            await self.release(connection)
            raise
        if channel is None:
            await self.release(connection)
        else:
            connection.opened += 1
        return channel

    async def _slot(self) -> SshConnection:
        while True:
            self.connections = [known for known in self.connections if known.alive]
            for connection in self.connections:
                if connection.free:
                    return connection
            if len(self.connections) < CONNECTIONS_PER_ADDRESS:
                await self._connect_once()
            else:
                await self._wait_freed()

    async def _wait_freed(self) -> None:
        async with self._freed:
            try:
                await self._freed.wait()
            except asyncio.CancelledError:
                self._freed.notify()  # pass on the notification that this task consumed
                raise

    async def _connect_once(self) -> None:
        """Run one handshake at a time and share its failure: OpenSSH drops many at once."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(_retrieve_exception)
        await asyncio.shield(self._connecting)

    async def _connect(self) -> None:
        connection = await connect(self._address, self._threads)
        self.connections.append(connection)
        log.info("ssh connected", address=self._address.name, connections=len(self.connections))

    async def release(self, connection: SshConnection) -> None:
        connection.used -= 1
        connection.idle_since = asyncio.get_running_loop().time()
        async with self._freed:
            self._freed.notify()

    async def close_idle(self, now: float) -> None:
        """Close idle connections. Searches again after each one, because other tasks change the list."""
        while idle := next((known for known in self.connections if _is_idle(known, now)), None):
            self.connections.remove(idle)
            await idle.close()

    async def close(self) -> None:
        for task in (self.access_check, self._connecting):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        for connection in self.connections:
            await connection.close()
        self.connections.clear()


def _is_idle(connection: SshConnection, now: float) -> bool:
    return connection.used == 0 and now - connection.idle_since > IDLE_LIFETIME_S


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Retrieve the exception, so that asyncio does not report it where all waiters were cancelled."""
    if not task.cancelled():
        task.exception()


async def _close(known: _Address) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await known.close()
    except (TimeoutError, GuestError) as error:
        log.warning("ssh close failed", error=str(error))


@dataclass(slots=True)
class PooledChannel:
    """A channel with its connection. ``uses`` counts how often it was taken."""

    address: SshAddress
    command: str
    connection: SshConnection
    channel: SshChannel
    uses: int = 1


class SshPool:
    """All SSH connections of a process. Opens channels within each server's session limit.

    A channel whose command serves several callers is kept between them: ``take``, then ``keep`` or ``drop``.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ssh")
        self._threads = Threads(self._executor)
        self._addresses: dict[SshAddress, _Address] = {}
        self._kept: dict[tuple[SshAddress, str], list[PooledChannel]] = {}
        self._uses = itertools.count(1)

    @asynccontextmanager
    async def channel(self, address: SshAddress, command: str) -> AsyncIterator[SshChannel]:
        """Run ``command`` on the server. Closes the channel after the block.

        Raises ``GuestUnreachableError``, ``HostKeyError``, ``KeyRefusedError``, ``GuestError``.
        """
        opened = await self._open(address, command)
        try:
            yield opened.channel
        finally:
            await self.drop(opened)

    async def take(self, address: SshAddress, command: str) -> PooledChannel:
        """Return a kept channel of ``command`` that is still open, else a new one. Raises as ``channel``."""
        while kept := self._kept.get((address, command)):
            pooled = kept.pop()
            if pooled.connection.alive and not pooled.channel.ended:
                pooled.uses += 1
                return pooled
            await self.drop(pooled)
        return await self._open(address, command)

    def keep(self, pooled: PooledChannel) -> None:
        """Keep a channel for the next ``take``, until ``end``."""
        self._kept.setdefault((pooled.address, pooled.command), []).append(pooled)

    async def end(self, address: SshAddress, command: str) -> None:
        """Close the kept channels of ``command``."""
        for pooled in self._kept.pop((address, command), ()):
            await self.drop(pooled)

    async def drop(self, pooled: PooledChannel) -> None:
        """Close a channel."""
        await asyncio.shield(self._give_back(pooled))

    async def _open(self, address: SshAddress, command: str) -> PooledChannel:
        known = self._addresses.setdefault(address, _Address(address, self._threads))
        await self._sweep()
        try:
            connection, channel = await known.acquire()
        except TimeoutError:
            raise GuestUnreachableError(Message.of(GuestCode.SSH_SESSIONS_IN_USE, address=address.name)) from None
        pooled = PooledChannel(address, command, connection, channel)
        try:
            await channel.start(command)
        except BaseException:
            await self.drop(pooled)
            raise
        return pooled

    async def _give_back(self, pooled: PooledChannel) -> None:
        known = self._addresses.get(pooled.address)
        try:
            await pooled.channel.close()
        finally:
            pooled.connection.opened -= 1
            if known is not None:
                await known.release(pooled.connection)

    async def check_access(self, address: SshAddress) -> None:
        """Check that the server accepts the key and runs a command. Callers at the same time share one check.

        Raises as ``channel``.
        """
        known = self._addresses.setdefault(address, _Address(address, self._threads))
        if known.access_check is None or known.access_check.done():
            known.access_check = asyncio.create_task(self._check_access(address))
            known.access_check.add_done_callback(_retrieve_exception)
        await asyncio.shield(known.access_check)

    async def _check_access(self, address: SshAddress) -> None:
        async with self.channel(address, "true") as channel:
            await channel.send(b"")

    async def host_key(self, host: str, port: int) -> str:
        """Return the server's host key, for an operator to compare with the node's and confirm."""
        return await offered_host_key(host, port, self._threads)

    async def _sweep(self) -> None:
        if next(self._uses) % 64 == 0:
            now = asyncio.get_running_loop().time()
            for known in tuple(self._addresses.values()):
                await known.close_idle(now)

    def connections(self, address: SshAddress) -> int:
        """Return the number of open connections to ``address``."""
        known = self._addresses.get(address)
        return 0 if known is None else sum(1 for connection in known.connections if connection.alive)

    async def forget(self, address: SshAddress) -> None:
        """Close the connections to an address that is no longer used."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[0] != address}
        if known := self._addresses.pop(address, None):
            await _close(known)

    async def close(self) -> None:
        """Close all connections. Running commands go on in their guests."""
        self._kept.clear()
        for known in self._addresses.values():
            await _close(known)
        self._addresses.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
