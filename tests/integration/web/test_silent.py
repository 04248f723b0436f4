"""Hundreds of silent connections to the real web server."""

from __future__ import annotations

import asyncio
import resource
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import aiohttp
import pytest

from lxc_dashboard import routes
from lxc_dashboard.api.middleware.connections import SILENT_PER_ADDRESS
from lxc_dashboard.api.middleware.limits import SILENT_PAGE_S
from tests.e2e.stack import Stack
from tests.integration.web.conftest import PATIENCE_S, Visitor, tab

SILENT = 1200
# An address of this machine that is no trusted proxy, unlike 127.0.0.1.
STRANGER = "127.0.0.2"
SIGN_IN_WITHIN_S = 20
HEADERS_WITHIN_S = 30
Opens = Callable[[int], list[socket.socket]]


@pytest.fixture
def opens(stack: Stack) -> Iterator[Opens]:
    """Opens connections from another address to the web server, which send nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host = urlsplit(stack.url)
    with ExitStack() as ending:

        def opened(count: int) -> list[socket.socket]:
            address = (host.hostname, host.port)
            return [
                ending.enter_context(socket.create_connection(address, PATIENCE_S, source_address=(STRANGER, 0)))
                for _ in range(count)
            ]

        yield opened


def still_open(clients: list[socket.socket]) -> list[socket.socket]:
    """The connections that the server has not closed."""
    looking = select.poll()
    for client in clients:
        looking.register(client, select.POLLIN)
    ended = {descriptor for descriptor, _ in looking.poll(0)}
    return [client for client in clients if client.fileno() not in ended]


def ask(client: socket.socket) -> None:
    """Send one request, read the answer, and leave the connection open."""
    client.sendall(f"GET {routes.LIVE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b" 200 " in client.recv(1 << 16)


async def until(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.1)


async def test_silent_connections_of_one_address_keep_nobody_from_signing_in(
    signed_in: Visitor, visitor: Visitor, opens: Opens
) -> None:
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        spoken = []
        # One at a time: if all were opened first, the last one would be silent for too long.
        for _ in range(SILENT_PER_ADDRESS + 20):
            spoken += await asyncio.to_thread(opens, 1)
            await asyncio.to_thread(ask, spoken[-1])
        silent = await asyncio.to_thread(opens, SILENT)
        async with asyncio.timeout(SIGN_IN_WITHIN_S):
            assert (await visitor.sign_in()).status_code == 303
        await until(lambda: len(still_open(silent)) <= SILENT_PER_ADDRESS, HEADERS_WITHIN_S / 2)
        assert still_open(silent) == silent[:SILENT_PER_ADDRESS]
        assert still_open(spoken) == spoken
        assert not opened.socket.closed
        assert not opened.ended


async def silent_socket_ends(visitor: Visitor) -> None:
    """A page's socket that answers no ping is closed."""
    address = f"{visitor.stack.url}/_event/?token=silent&EIO=4&transport=websocket"
    headers = {"Cookie": visitor.header, "Origin": visitor.stack.url}
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, headers=headers) as socket,
        asyncio.timeout(SILENT_PAGE_S + PATIENCE_S),
    ):
        while not socket.closed:
            await socket.receive()


@pytest.mark.full
async def test_connections_and_sockets_that_say_nothing_or_half_of_it_are_closed_in_time(
    signed_in: Visitor, opens: Opens
) -> None:
    silent, half, begun = opens(3)
    half.sendall(b"G")
    begun.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    await asyncio.gather(
        until(lambda: not still_open([silent, half, begun]), HEADERS_WITHIN_S + PATIENCE_S),
        silent_socket_ends(signed_in),
    )
    assert not still_open([silent, half, begun])
