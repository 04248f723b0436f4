"""Which connections of an address are closed, tested on real sockets of this process."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lxc_dashboard.api.middleware.address import Trust
from lxc_dashboard.api.middleware.connections import Connections


class Server:
    """A listening server. Its clients connect from any address of the loopback network."""

    def __init__(self, ending: ExitStack) -> None:
        self._ending = ending
        self._listener = ending.enter_context(socket.create_server(("127.0.0.1", 0)))

    def connect(self, source: str, count: int) -> list[socket.socket]:
        return [self._connected(source) for _ in range(count)]

    def _connected(self, source: str) -> socket.socket:
        client = socket.create_connection(self._listener.getsockname(), source_address=(source, 0))
        self._ending.enter_context(client)
        self._ending.enter_context(self._listener.accept()[0])
        return client


@pytest.fixture
def server() -> Iterator[Server]:
    with ExitStack() as ending:
        yield Server(ending)


def bounded(silent: int, all_: int, proxies: str = "") -> Connections:
    return Connections(lambda: Trust.of(proxies, ""), silent_per_address=silent, per_address=all_)


async def speak(connections: Connections, client: socket.socket, **headers: str) -> None:
    """Report a request of ``client`` with these headers, as the server does."""

    async def app(*_: Any) -> None:
        """Send no response."""

    host, port = client.getsockname()
    scope = {
        "type": "http",
        "client": (host, str(port)),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await connections.wrap(app)(scope, Any, Any)  # type: ignore[arg-type]  # the app uses none of them


def are_open(clients: list[socket.socket]) -> list[bool]:
    ended, _, _ = select.select(clients, [], [], 0.2)
    return [client not in ended for client in clients]


async def test_of_an_addresss_silent_connections_the_first_stay_and_those_that_asked_for_something(
    server: Server,
) -> None:
    connections = bounded(3, 100)
    spoken = server.connect("127.0.0.2", 4)
    for client in spoken:
        await speak(connections, client)
    silent, other = server.connect("127.0.0.2", 6), server.connect("127.0.0.3", 3)
    connections.check()
    assert are_open(silent) == [True] * 3 + [False] * 3
    assert are_open([*spoken, *other]) == [True] * 7
    connections.check()
    assert are_open([*silent[:3], *spoken, *other]) == [True] * 10


async def test_of_all_connections_of_an_address_the_first_stay(server: Server) -> None:
    connections = bounded(100, 5)
    clients, other = server.connect("127.0.0.2", 8), server.connect("127.0.0.3", 5)
    for client in clients:
        await speak(connections, client)
    connections.check()
    assert are_open(clients) == [True] * 5 + [False] * 3
    assert are_open(other) == [True] * 5


async def test_a_proxy_that_is_trusted_is_not_bounded_and_no_header_makes_one(server: Server) -> None:
    proxy, stranger = server.connect("127.0.0.2", 4), server.connect("127.0.0.3", 4)
    connections = bounded(1, 2, proxies="127.0.0.2")
    for client in stranger:
        await speak(connections, client, **{"x-forwarded-for": "127.0.0.2"})
    connections.check()
    assert are_open(proxy) == [True] * 4
    assert are_open(stranger) == [True] * 2 + [False] * 2
