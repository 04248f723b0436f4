"""How errors of the Redis server reach the callers of the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ResponseError

from lxc_dashboard.bus import Bus
from lxc_dashboard.errors import ServiceUnavailableError

FULL = "MISCONF Errors writing to the AOF file: No space left on device"


@asynccontextmanager
async def refusing(with_words: str) -> AsyncIterator[Bus]:
    """A bus whose server answers each command with this error."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()).startswith(b"*"):
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                await reader.readexactly(size + 2)
            writer.write(f"-{with_words}\r\n".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    bus = Bus(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    try:
        yield bus
    finally:
        await bus.close()
        server.close()


async def test_a_full_disk_is_a_service_that_is_away() -> None:
    async with refusing(FULL) as bus:
        with pytest.raises(ServiceUnavailableError, match="cannot write to its disk"):
            await bus.set("a", b"1", ttl_s=1)
        with pytest.raises(ServiceUnavailableError, match="cannot write to its disk"):
            await bus.acquire_lease("a", "me", 1)


async def test_a_mistake_of_ours_is_no_service_that_is_away() -> None:
    async with refusing("ERR frobnicated") as bus:
        with pytest.raises(ResponseError, match="frobnicated"):
            await bus.set("a", b"1", ttl_s=1)
