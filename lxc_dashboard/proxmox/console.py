"""A guest's terminal over PVE's websocket.

The first message is ``user:ticket`` with a line end. PVE answers ``OK``. Then ``0:LEN:DATA`` types,
``1:COLUMNS:ROWS:`` resizes and ``2`` keeps the connection alive. PVE sends the terminal's output unframed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import wsproto
from msgspec import structs
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from lxc_dashboard.errors import ApiError, UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox import errors
from lxc_dashboard.proxmox.auth import TicketAuth
from lxc_dashboard.proxmox.codes import ProxmoxCode
from lxc_dashboard.proxmox.endpoint import check_pin, ssl_context

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import TerminalTicket

OPEN_TIMEOUT_S: Final = 10.0  # PVE waits as long for the websocket
READ_BYTES: Final = 64 * 1024
INPUT_CHUNK_BYTES: Final = 16 * 1024  # PVE accepts messages of up to 128 KiB
GREETING: Final = b"OK"


class ConsoleSocket:
    """A connection to a guest's terminal, made by ``open_console``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        self._reader = reader
        self._writer = writer
        self._where = where
        self._wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: list[Event] = []

    async def read(self) -> bytes:
        """Return the next output, empty at the end. Raises ``UnreachableError`` for a lost connection."""
        while True:
            event = await self._next()
            if event is None:
                return b""
            if isinstance(event, (BytesMessage, TextMessage)) and event.data:
                return event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)

    async def type(self, data: bytes) -> None:
        """Type ``data`` into the terminal."""
        for at in range(0, len(data), INPUT_CHUNK_BYTES):
            piece = data[at : at + INPUT_CHUNK_BYTES]
            await self._send(BytesMessage(b"0:%d:%s" % (len(piece), piece)))

    async def resize(self, columns: int, rows: int) -> None:
        await self._send(BytesMessage(b"1:%d:%d:" % (columns, rows)))

    async def keep_alive(self) -> None:
        await self._send(BytesMessage(b"2"))

    async def shake_hands(self, address: str, cookie: str, terminal: TerminalTicket) -> None:
        """Open the websocket and sign in to the terminal.

        Raises ``ApiError``, ``SessionExpiredError``, ``PrivilegeError``, ``UnreachableError``.
        """
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._shake_hands(address, cookie, terminal)
        except TimeoutError as error:
            raise errors.from_transport(error, self._where) from error

    async def _shake_hands(self, address: str, cookie: str, terminal: TerminalTicket) -> None:
        parts = urlsplit(address)
        target = f"{parts.path}?{parts.query}"
        await self._send(
            Request(
                host=parts.netloc, target=target, subprotocols=["binary"], extra_headers=[(b"Cookie", cookie.encode())]
            )
        )
        answer = await self._next()
        if isinstance(answer, RejectConnection):
            raise await self._refusal(answer, parts.path)
        if not isinstance(answer, AcceptConnection):
            raise UnreachableError(Message.of(ProxmoxCode.CONSOLE_CLOSED), node=self._where)
        await self._send(BytesMessage(f"{terminal.user}:{terminal.ticket}\n".encode()))
        greeting = await self.read()
        while len(greeting) < len(GREETING) and GREETING.startswith(greeting) and (more := await self.read()):
            greeting += more
        if not greeting.startswith(GREETING):
            raise ApiError(401, Message.of(ProxmoxCode.CONSOLE_REFUSED), node=self._where)
        if rest := greeting.removeprefix(GREETING):
            self._events.insert(0, BytesMessage(rest))

    async def close(self) -> None:
        self._writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    async def _refusal(self, answer: RejectConnection, path: str) -> Exception:
        body = b""
        while answer.has_body and isinstance(more := await self._next(), RejectData):
            body += more.data
            if more.body_finished:
                break
        return errors.from_response(status=answer.status_code, reason="", body=body, node=self._where, path=path)

    async def _next(self) -> Event | None:
        """Return the next event of the terminal, None at the end. Answers pings."""
        while True:
            while not self._events:
                data = await self._read_bytes()
                self._events += self._parse_events(data)
                if not data and not self._events:
                    return None
            event = self._events.pop(0)
            if isinstance(event, CloseConnection):
                return None
            if not isinstance(event, Ping):
                return event
            await self._send(event.response())

    def _parse_events(self, data: bytes) -> list[Event]:
        try:
            self._wire.receive_data(data or None)
            return list(self._wire.events())
        except wsproto.utilities.ProtocolError as error:
            if not data:  # PVE closed the connection in the middle of a frame
                return []
            raise errors.from_transport(error, self._where) from error

    async def _read_bytes(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except (OSError, ssl.SSLError) as error:
            raise errors.from_transport(error, self._where) from error

    async def _send(self, event: Event) -> None:
        try:
            self._writer.write(self._wire.send(event))
            await self._writer.drain()
        except (OSError, ssl.SSLError, wsproto.utilities.LocalProtocolError) as error:
            raise errors.from_transport(error, self._where) from error


@asynccontextmanager
async def open_console(client: ProxmoxClient, node: str, vmid: int) -> AsyncIterator[ConsoleSocket]:
    """``POST /nodes/{node}/lxc/{vmid}/termproxy``, then ``GET .../vncwebsocket``, as the client's user.

    Raises what the POST raises, ``ApiError`` for a client without a ticket (PVE gives API tokens no console),
    ``TlsError``.
    """
    if not isinstance(client.auth, TicketAuth):
        raise ApiError(403, Message.of(ProxmoxCode.CONSOLE_BY_TOKEN), node=node)
    terminal = await client.lxc.termproxy(node, vmid)
    terminal = structs.replace(terminal, user=terminal.user or client.auth.userid)
    address = client.lxc.websocket_url(node, vmid, terminal)
    socket = await connect(client)
    try:
        await socket.shake_hands(address, client.auth.cookie, terminal)
        yield socket
    finally:
        await socket.close()


async def connect(client: ProxmoxClient) -> ConsoleSocket:
    """Open a TLS connection to the endpoint and check its certificate. Raises ``TlsError``, ``UnreachableError``."""
    endpoint = client.endpoint
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=ssl_context(endpoint), server_hostname=endpoint.host
            )
    except (OSError, ValueError) as error:  # ``ValueError``: the host is not a valid name
        raise errors.from_transport(error, endpoint.authority) from error
    try:
        check_pin(endpoint, _certificate(writer))
    except BaseException:
        writer.transport.abort()
        raise
    return ConsoleSocket(reader, writer, endpoint.authority)


def _certificate(writer: asyncio.StreamWriter) -> bytes | None:
    shown: Any = writer.get_extra_info("ssl_object")
    found: bytes | None = shown.getpeercert(binary_form=True)
    return found
