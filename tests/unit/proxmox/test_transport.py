"""The stream below the pool: buffering, and errors when a connection breaks."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.abc import MetaPathFinder

import httpcore
import pytest
from httpcore._synchronization import current_async_library

from lxc_dashboard.errors import SessionExpiredError, UnreachableError
from lxc_dashboard.proxmox import Endpoint, ProxmoxPool, transport
from lxc_dashboard.proxmox.decoding import NOTHING
from lxc_dashboard.proxmox.endpoint import ssl_context
from lxc_dashboard.proxmox.transport import READ_AHEAD_BYTES, Connections, EndpointBackend
from tests.unit.proxmox.replay import Answer, Identity, RawServer, Seen, data

MANY_BYTES = 32 << 20


@asynccontextmanager
async def stream_to(server: RawServer) -> AsyncIterator[httpcore.AsyncNetworkStream]:
    endpoint = server.endpoint
    raw = await EndpointBackend(endpoint).connect_tcp(endpoint.host, endpoint.port, timeout=60)
    stream = await raw.start_tls(ssl_context(endpoint), server_hostname=endpoint.host, timeout=60)
    try:
        yield stream
    finally:
        await stream.aclose()


async def test_what_is_not_read_is_not_piled_up(identity: Identity) -> None:
    async with (
        RawServer(identity, lambda _: Answer(body=bytes(MANY_BYTES))) as server,
        stream_to(server) as stream,
    ):
        await stream.write(b"GET /api2/json/version HTTP/1.1\r\n\r\n")
        arrived = len(await stream.read(1, timeout=60))
        await asyncio.sleep(0.2)  # for the sender to send as much as it can
        waiting = len(await stream.read(1, timeout=60))
        assert waiting < 2 * READ_AHEAD_BYTES
        while arrived + waiting < MANY_BYTES:
            arrived += len(await stream.read(1, timeout=60))


async def test_nothing_is_sent_before_the_answer_is_asked_for(identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(None)) as server, stream_to(server) as stream:
        await stream.write(b"POST /api2/json/x HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        await stream.write(b"a=1")
        await asyncio.sleep(0.05)
        assert server.seen == []
        await stream.read(1, timeout=60)
        assert server.seen[0].body == b"a=1"


async def test_a_silent_peer_ends_the_read_in_time(identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(None)) as server, stream_to(server) as stream:
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(1, timeout=0.05)


async def test_a_peer_that_does_not_read_ends_the_send_in_time(identity: Identity) -> None:
    async def never(_: Seen) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with RawServer(identity, never) as server, stream_to(server) as stream:
        await stream.write(b"GET /x HTTP/1.1\r\n\r\n" + bytes(MANY_BYTES))
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(1, timeout=0.3)


async def test_a_long_form_arrives_whole(pool: ProxmoxPool, identity: Identity) -> None:
    description = "x" * (4 << 20)
    async with RawServer(identity, lambda _: data(None)) as server:
        await pool.client(server.endpoint).put("/x", NOTHING, {"description": description})
        assert server.seen[0].form == {"description": description}


async def test_a_reset_connection_is_unreachable(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"version": "9"})) as server:
        client = pool.client(server.endpoint)

        def reset(_: Seen) -> Answer:
            for writer in server.writers():
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return Answer("")

        server.respond = reset
        with pytest.raises(UnreachableError):
            await client.lxc.start("pve1", 101)


async def test_a_connection_that_is_closed_twice_stays_closed(identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(None)) as server, stream_to(server) as stream:
        await stream.aclose()
        assert stream.get_extra_info("is_readable")
        assert await stream.read(1, timeout=1) == b""
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(ssl_context(server.endpoint), timeout=1)


async def test_a_refused_connection_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(httpcore.ConnectError):
        await EndpointBackend(Endpoint("127.0.0.1", port)).connect_tcp("127.0.0.1", port, timeout=1)


async def test_an_answer_without_end_is_given_up(
    pool: ProxmoxPool, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_MAX_BYTES", 1 << 20)
    async with RawServer(identity, lambda _: Answer(body=b'{"data":"' + b"x" * (2 << 20) + b'"}')) as server:
        with pytest.raises(UnreachableError) as refused:
            await pool.client(server.endpoint).version()
    assert "1 MiB" in str(refused.value.detail)


@pytest.mark.parametrize("cut", [0, 100])
async def test_a_packed_answer_that_grows_without_end_or_is_cut_off_is_given_up(
    pool: ProxmoxPool, identity: Identity, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(transport, "ANSWER_MAX_BYTES", 1 << 20)
    packed = gzip.compress(b'{"data":"' + b"x" * (100 << 20) + b'"}')
    answer = Answer(body=packed[: len(packed) - cut], headers=(("Content-Encoding", "gzip"),))
    async with RawServer(identity, lambda _: answer) as server:
        with pytest.raises(UnreachableError):
            await pool.client(server.endpoint).version()


async def test_what_is_not_packed_as_it_says_is_given_up(pool: ProxmoxPool, identity: Identity) -> None:
    answer = Answer(body=b'{"data":{"version":"9"}}', headers=(("Content-Encoding", "gzip"),))
    async with RawServer(identity, lambda _: answer) as server:
        with pytest.raises(UnreachableError):
            await pool.client(server.endpoint).version()


async def test_nothing_packed_is_nothing(pool: ProxmoxPool, identity: Identity) -> None:
    refused = Answer("401 No ticket", headers=(("Content-Encoding", "gzip"),))
    async with RawServer(identity, lambda _: refused) as server:
        with pytest.raises(SessionExpiredError):
            await pool.client(server.endpoint).version()


async def test_a_request_looks_for_no_library_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []

    class Finder(MetaPathFinder):
        def find_spec(self, fullname: str, *_: object) -> None:
            looked_for.append(fullname)

    current_async_library()
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    current_async_library()
    assert looked_for == []


def test_a_transport_of_another_event_loop_will_do() -> None:
    """No transport of uvloop is an ``asyncio.Transport``. granian uses uvloop wherever it is installed."""
    wire, foreign = transport._Wire(), asyncio.BaseTransport()
    wire.connection_made(foreign)
    assert wire.transport is foreign


ORIGIN = httpcore.Origin(b"https", b"pve1", 8006)


class Connection(httpcore.AsyncHTTPConnection):
    """A connection that is idle and fresh until a test changes it."""

    def __init__(self, origin: httpcore.Origin) -> None:
        super().__init__(origin)
        self.idle, self.expired, self.closed = True, False, False

    def is_idle(self) -> bool:
        return self.idle

    def has_expired(self) -> bool:
        return self.expired

    async def aclose(self) -> None:
        self.closed = True


def at_most(limit: int) -> tuple[Connections, list[Connection]]:
    """A pool of at most ``limit`` connections, and the list of all connections that it makes."""
    made: list[Connection] = []

    def connect(origin: httpcore.Origin) -> Connection:
        made.append(Connection(origin))
        return made[-1]

    return Connections(connect, limit), made


async def test_one_that_was_given_back_serves_the_next_request() -> None:
    connections, made = at_most(8)
    for _ in range(5):
        async with connections.one(ORIGIN, 1.0):
            pass
    assert len(made) == 1
    assert not made[0].closed


async def test_the_last_one_used_serves_first() -> None:
    connections, made = at_most(8)
    async with connections.one(ORIGIN, 1.0):
        async with connections.one(ORIGIN, 1.0) as second:
            pass
        async with connections.one(ORIGIN, 1.0) as again:
            assert again is second
    async with connections.one(ORIGIN, 1.0) as last:
        assert last is made[0]
    assert len(made) == 2


async def test_who_comes_when_all_are_busy_waits_for_one() -> None:
    connections, made = at_most(1)
    served: list[str] = []

    async def serve(name: str) -> None:
        async with connections.one(ORIGIN, 5.0):
            await asyncio.sleep(0)
            served.append(name)

    await asyncio.gather(*map(serve, "abc"))
    assert served == ["a", "b", "c"]
    assert len(made) == 1


async def test_who_waits_too_long_is_told_so_and_takes_nobodys_turn() -> None:
    connections, made = at_most(1)
    async with connections.one(ORIGIN, 5.0):
        with pytest.raises(httpcore.PoolTimeout, match=r"within 0\.01 s"):
            async with connections.one(ORIGIN, 0.01):
                pytest.fail("there was none")
    async with connections.one(ORIGIN, 5.0):
        assert len(made) == 1


async def test_one_whose_answer_was_not_read_to_its_end_serves_nobody_else() -> None:
    connections, made = at_most(1)

    async def read_half() -> None:
        async with connections.one(ORIGIN, 5.0):
            made[0].idle = False
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        await read_half()
    assert made[0].closed
    async with connections.one(ORIGIN, 5.0) as next_one:
        assert next_one is not made[0]


async def test_one_that_the_server_closed_meanwhile_serves_nobody() -> None:
    connections, made = at_most(1)
    async with connections.one(ORIGIN, 5.0):
        pass
    made[0].expired = True
    async with connections.one(ORIGIN, 5.0) as next_one:
        assert next_one is not made[0]
    assert made[0].closed


async def test_those_that_nobody_needed_for_long_are_closed_with_the_next_request() -> None:
    connections, made = at_most(3)
    async with connections.one(ORIGIN, 5.0), connections.one(ORIGIN, 5.0), connections.one(ORIGIN, 5.0):
        pass
    old = made[1:]
    for connection in old:
        connection.expired = True
    async with connections.one(ORIGIN, 5.0) as used:
        assert used is made[0]
    assert [connection.closed for connection in old] == [True, True]
    assert not made[0].closed


async def test_at_the_end_all_are_closed_busy_or_not() -> None:
    connections, made = at_most(2)
    async with connections.one(ORIGIN, 5.0):
        async with connections.one(ORIGIN, 5.0):
            pass
        await connections.aclose()
        assert [connection.closed for connection in made] == [True, True]
