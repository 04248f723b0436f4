"""The stream below the pool: what it holds back, and how broken lines end."""

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
from lxc_dashboard.proxmox.transport import READ_AHEAD_BYTES, EndpointBackend
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
        await asyncio.sleep(0.2)  # for the sender to send as much as it is let
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
    """None of uvloop's is an ``asyncio.Transport``; granian takes uvloop wherever it is installed."""
    wire, foreign = transport._Wire(), asyncio.BaseTransport()
    wire.connection_made(foreign)
    assert wire.transport is foreign
