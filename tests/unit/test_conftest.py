"""The fence around unit tests holds."""

from __future__ import annotations

import asyncio
import socket

import pytest

OUTSIDE = "192.0.2.1"  # an address of documentation's, nobody's


@pytest.mark.parametrize("address", [(OUTSIDE, 80), ("example.invalid", 80), ("::ffff:192.0.2.1", 80, 0, 0)])
def test_a_unit_test_cannot_connect_to_another_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if len(address) > 2 else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(Exception, match="not on this machine"):
        client.connect(address)


def test_a_unit_test_cannot_look_up_a_name() -> None:
    with pytest.raises(Exception, match="not on this machine"):
        socket.getaddrinfo("example.invalid", 80)


async def test_asyncio_cannot_connect_to_another_machine() -> None:
    with pytest.raises(Exception, match="not on this machine"):
        await asyncio.open_connection(OUTSIDE, 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_stays_open(host: str) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
