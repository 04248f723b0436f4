"""HTTP/1.1 connections below httpx. They check the certificate before they send a byte.

httpcore writes head and body of a request separately, each in a TLS record of its own, and some PVE builds drop such
a POST. So this stream collects written data and sends it at once when httpcore starts to read. A read returns all data
that has arrived, which makes long lists cheap.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import httpcore
import httpx

from lxc_dashboard.errors import TlsError
from lxc_dashboard.proxmox import errors
from lxc_dashboard.proxmox.endpoint import Endpoint, check_pin, ssl_context


class Connections:
    """The connections to one endpoint, the last used first. At most ``limit`` at a time. ``connect`` makes them.

    httpcore's own pool examines every connection for every waiting request, each time a request starts or ends. With
    twenty creations at once that costs more than sending the requests.
    """

    def __init__(self, connect: Callable[[httpcore.Origin], httpcore.AsyncHTTPConnection], limit: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(limit)
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    @asynccontextmanager
    async def one(self, origin: httpcore.Origin, wait_s: float | None) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """Lend a connection for one request and its whole answer. ``origin`` is always the same.

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
        """Keep a usable connection. Close it otherwise, together with idle ones that have expired."""
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


API_ROOT = "/api2/json"
MAX_CONNECTIONS = 32
# PVE closes an idle connection after some seconds. A POST on a closing connection could not be retried.
KEEPALIVE_EXPIRY_S = 4.0
TLS_SHUTDOWN_TIMEOUT_S = 1.0
READ_AHEAD_BYTES = 1 << 20
# The list of 5,000 guests has 3 MiB. A larger answer is not from PVE.
ANSWER_MAX_BYTES = 64 << 20
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class _Wire(asyncio.Protocol):
    """The received and unread data of a connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.failure: Exception | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(
            "asyncio.Transport", transport
        )  # the transports of other loops, such as uvloop, have another class

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD_BYTES and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self._wake(self._reader)

    def eof_received(self) -> None:
        self.ended = True
        self._wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.failure = exc
        self._wake(self._reader)
        self._wake(self._drain)

    def pause_writing(self) -> None:
        self._drain = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._wake(self._drain)
        self._drain = None

    @property
    def readable(self) -> bool:
        """Return whether there is data or the end. An idle connection that is readable cannot be used again."""
        return bool(self._chunks) or self.ended

    async def wait_readable(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def drained(self) -> None:
        if self._drain is not None:
            await self._drain

    def take(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, endpoint: Endpoint, wire: _Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._held: list[bytes] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's signature
        """Return all that has arrived. httpcore's parser does not depend on ``max_bytes``."""
        try:
            async with asyncio.timeout(timeout):
                await self._flush()
                if not self._wire.readable:
                    await self._wire.wait_readable()
        except TimeoutError as error:
            raise httpcore.ReadTimeout(f"no answer within {timeout} s") from error
        data = self._wire.take()
        if not data and self._wire.failure is not None:
            raise httpcore.ReadError(str(self._wire.failure)) from self._wire.failure
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - httpcore's signature
        self._held.append(buffer)

    async def _flush(self) -> None:
        if not self._held:
            return
        data = b"".join(self._held)
        self._held.clear()
        # The next read reports a closed connection, after the last data of the peer.
        if self._wire.transport is not None and not self._wire.transport.is_closing():
            self._wire.transport.write(data)
            await self._wire.drained()

    async def aclose(self) -> None:
        if self._wire.transport is not None:
            self._wire.ended = True
            self._wire.transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        transport = _open(self._wire.transport)
        try:
            async with asyncio.timeout(timeout):
                tls = await asyncio.get_running_loop().start_tls(
                    transport,
                    self._wire,
                    ssl_context,
                    server_hostname=server_hostname,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_TIMEOUT_S,
                )
            self._wire.transport = _open(tls)
            check_pin(self._endpoint, self._wire.transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(f"no TLS handshake within {timeout} s") from error
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._wire.readable
        return self._wire.transport.get_extra_info(info) if self._wire.transport is not None else None


def _open(transport: asyncio.Transport | None) -> asyncio.Transport:
    if transport is None or transport.is_closing():
        raise httpcore.ConnectError("the connection closed before the TLS handshake")
    return transport


class EndpointBackend(httpcore.AsyncNetworkBackend):
    """Open connections for httpcore, and check their certificate against the endpoint's pin."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del local_address, socket_options  # ``Connections`` passes none
        try:
            async with asyncio.timeout(timeout):
                _, wire = await asyncio.get_running_loop().create_connection(_Wire, host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {timeout} s") from error
        except (OSError, UnicodeError) as error:  # ``UnicodeError``: the host is not a valid name
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(self._endpoint, wire)


class EndpointTransport(httpx.AsyncBaseTransport):
    """The connections of one endpoint. Raises ``UnreachableError`` and ``TlsError``, no error of httpcore."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        connect = partial(
            httpcore.AsyncHTTPConnection,
            ssl_context=ssl_context(endpoint),
            keepalive_expiry=KEEPALIVE_EXPIRY_S,
            network_backend=EndpointBackend(endpoint),
        )
        self._connections = Connections(connect, MAX_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        core = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.content,
            extensions=request.extensions,
        )
        wait_s = request.extensions.get("timeout", {}).get("pool")
        try:
            async with self._connections.one(core.url.origin, wait_s) as connection:
                response, body = await _answer(connection, core)
        except TlsError:
            raise
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            raise errors.from_transport(error, self._endpoint.authority, url.path.removeprefix(API_ROOT)) from error
        # Users share the connections: a cookie of one must not reach another.
        # The body is unpacked already.
        left_out = {b"set-cookie", b"content-encoding"}
        headers = [(name, value) for name, value in response.headers if name.lower() not in left_out]
        return httpx.Response(response.status, headers=headers, content=body, extensions=response.extensions)

    async def aclose(self) -> None:
        await self._connections.aclose()


async def _answer(
    connection: httpcore.AsyncHTTPConnection, request: httpcore.Request
) -> tuple[httpcore.Response, bytes]:
    """Return the response with its whole body."""
    response = await connection.handle_async_request(request)
    assert isinstance(response.stream, AsyncIterable)  # noqa: S101 - httpcore guarantees it
    try:
        return response, _unpack(await _read_limited(response.stream), response.headers)
    finally:
        await response.aclose()


def _unpack(body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Unpack a body that a proxy before PVE compressed. httpx would unpack without a limit."""
    encodings = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
    if not body or not encodings & {b"gzip", b"x-gzip", b"deflate"}:
        return body
    stream = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        content = stream.decompress(body, ANSWER_MAX_BYTES)
    except zlib.error as error:
        raise httpcore.RemoteProtocolError(f"the compressed answer is invalid: {error}") from error
    if not stream.eof:
        raise httpcore.RemoteProtocolError(
            f"the compressed answer is incomplete or larger than {ANSWER_MAX_BYTES >> 20} MiB"
        )
    return content


async def _read_limited(stream: AsyncIterable[bytes]) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > ANSWER_MAX_BYTES:
            raise httpcore.RemoteProtocolError(f"the answer is larger than {ANSWER_MAX_BYTES >> 20} MiB")
        chunks.append(chunk)
    return b"".join(chunks)
