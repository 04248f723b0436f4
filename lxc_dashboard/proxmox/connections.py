"""The connections to one endpoint, the last one used first.

httpcore's own pool looks at every connection for every request that waits, each time that one begins or ends: with twenty
containers being made at once that was more work than sending the requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpcore


class Connections:
    """At most ``limit`` at a time, made by ``connect`` when they are needed; who comes later waits in line."""

    def __init__(self, connect: Callable[[httpcore.Origin], httpcore.AsyncHTTPConnection], limit: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(limit)
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    @asynccontextmanager
    async def one(self, origin: httpcore.Origin, wait_s: float | None) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """Nobody else's within the block, in which a request is answered whole. ``origin`` is always the same.

        Raises ``httpcore.PoolTimeout``.
        """
        try:
            async with asyncio.timeout(wait_s):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpcore.PoolTimeout(f"no connection was free within {wait_s} s") from error
        try:
            connection = await self._usable() or self._connect(origin)
            self._busy.add(connection)
            try:
                yield connection
            finally:
                self._busy.discard(connection)
                await self._give_back(connection)
        finally:
            self._room.release()

    async def _usable(self) -> httpcore.AsyncHTTPConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _give_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """One that cannot serve again is closed, and those that served so long ago that they cannot either."""
        if connection.is_idle() and not connection.has_expired():
            self._idle.append(connection)
        else:
            await connection.aclose()
        while self._idle and self._idle[0].has_expired():
            await self._idle.popleft().aclose()

    async def aclose(self) -> None:
        for connection in (*self._idle, *self._busy):
            await connection.aclose()
        self._idle.clear()
