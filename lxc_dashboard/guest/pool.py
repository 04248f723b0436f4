"""SSH connections towards nodes and guests, shared by all that enter guests through them."""

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
from lxc_dashboard.guest.connection import SshAddress, SshChannel, SshConnection, Threads, connect, offered_host_key

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
        self.knocking: asyncio.Task[None] | None = None
        self.connections: list[SshConnection] = []

    async def acquire(self) -> tuple[SshConnection, SshChannel]:
        refusals = 0
        async with asyncio.timeout(SLOT_TIMEOUT_S):
            while True:
                connection = await self._slot()
                alone = connection.used == 0
                channel = await self._open(connection)
                if channel is not None:
                    return connection, channel
                refusals += alone
                if refusals >= REFUSALS:
                    raise GuestUnreachableError(f"{self._address.name} refuses to open an SSH session")

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
                await self._until_freed()

    async def _until_freed(self) -> None:
        async with self._freed:
            try:
                await self._freed.wait()
            except asyncio.CancelledError:
                self._freed.notify()  # who was told, and goes, took the word from the next one
                raise

    async def _connect_once(self) -> None:
        """One handshake at a time, whose failure all that wait for it share: OpenSSH drops a crowd of them."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(_look_at)
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
        """Each is looked for anew: while the one before is closed, others may be taken, lost, or closed by somebody else."""
        while idle := next((known for known in self.connections if _is_idle(known, now)), None):
            self.connections.remove(idle)
            await idle.close()

    async def close(self) -> None:
        for task in (self.knocking, self._connecting):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        for connection in self.connections:
            await connection.close()
        self.connections.clear()


def _is_idle(connection: SshConnection, now: float) -> bool:
    return connection.used == 0 and now - connection.idle_since > IDLE_LIFETIME_S


def _look_at(task: asyncio.Task[None]) -> None:
    """Those who wait have the failure; when all of them were cancelled, asyncio need not complain."""
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
    """A channel with the connection that it belongs to. ``uses`` counts how often it was taken."""

    address: SshAddress
    command: str
    connection: SshConnection
    channel: SshChannel
    uses: int = 1


class SshPool:
    """All SSH connections of one process. Channels are handed out under each server's session limit.

    A channel whose command serves several callers in turn is kept between them: ``take``, then ``keep`` or ``drop``.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ssh")
        self._threads = Threads(self._executor)
        self._addresses: dict[SshAddress, _Address] = {}
        self._kept: dict[tuple[SshAddress, str], list[PooledChannel]] = {}
        self._uses = itertools.count(1)

    @asynccontextmanager
    async def channel(self, address: SshAddress, command: str) -> AsyncIterator[SshChannel]:
        """``command`` started on the server; closed at the end of the block.

        Raises ``GuestUnreachableError``, ``HostKeyError``, ``KeyRefusedError``, ``GuestError``.
        """
        opened = await self._open(address, command)
        try:
            yield opened.channel
        finally:
            await self.drop(opened)

    async def take(self, address: SshAddress, command: str) -> PooledChannel:
        """A kept channel of ``command`` that is still open, else a new one. Raises as ``channel``."""
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
            raise GuestUnreachableError(f"All SSH sessions of {address.name} are in use") from None
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

    async def knock(self, address: SshAddress) -> None:
        """See that the server lets us in and runs a command. A crowd that asks at once has one answer. Raises as ``channel``."""
        known = self._addresses.setdefault(address, _Address(address, self._threads))
        if known.knocking is None or known.knocking.done():
            known.knocking = asyncio.create_task(self._knock(address))
            known.knocking.add_done_callback(_look_at)
        await asyncio.shield(known.knocking)

    async def _knock(self, address: SshAddress) -> None:
        async with self.channel(address, "true") as channel:
            await channel.send(b"")

    async def host_key(self, host: str, port: int) -> str:
        """The host key that a server shows now, for an operator to hold against the node's own and confirm."""
        return await offered_host_key(host, port, self._threads)

    async def _sweep(self) -> None:
        if next(self._uses) % 64 == 0:
            now = asyncio.get_running_loop().time()
            for known in tuple(self._addresses.values()):
                await known.close_idle(now)

    def connections(self, address: SshAddress) -> int:
        """How many connections are open to ``address``."""
        known = self._addresses.get(address)
        return 0 if known is None else sum(1 for connection in known.connections if connection.alive)

    async def forget(self, address: SshAddress) -> None:
        """Close what is open to an address that is needed no more."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[0] != address}
        if known := self._addresses.pop(address, None):
            await _close(known)

    async def close(self) -> None:
        """Close all; running commands go on in their guests."""
        self._kept.clear()
        for known in self._addresses.values():
            await _close(known)
        self._addresses.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
