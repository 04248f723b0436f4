"""The relay of the guests' network: it repeats their TCP connections and DNS queries.

It listens in the router's network namespace (``launch.keep``) and connects from the machine's. So the machine's
routing, packet filter and forwarding do not change. Other protocols do not pass. Connections to this machine,
loopback and link-local addresses are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_SO_ORIGINAL_DST = 80
_CHUNK_BYTES = 65536
_CONNECT_TIMEOUT_S = 15
_DNS_TIMEOUT_S = 3
_DNS_PORT = 53
_MAX_PENDING_QUESTIONS = 256
_DATAGRAM_BYTES = 4096


def nameservers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The machine's nameservers, in order."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return []


def is_refused(address: str) -> bool:
    """Whether guests may not connect to ``address``: this machine, loopback, link-local."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def original_target(connection: socket.socket) -> tuple[str, int]:
    """Return the destination of a redirected connection."""
    raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    port, packed = struct.unpack_from("!2xH4s", raw)
    return str(ipaddress.IPv4Address(packed)), port


class Relay:
    """Serve until ``close``. ``gateway`` is the address of the guests' nameserver."""

    def __init__(self, tcp: socket.socket, dns: socket.socket, gateway: str) -> None:
        self._tcp = tcp
        self._dns = dns
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._tcp.setblocking(False)
        self._dns.setblocking(False)
        self._server = await asyncio.start_server(self._pass_on, sock=self._tcp)
        self._keep(asyncio.create_task(self._answer_questions()))

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._dns.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._keep(task)
        try:
            await self._connect(reader, writer)
            writer.close()  # sends what is written first
        except (OSError, TimeoutError) as error:
            log.info("guest connection failed", error=str(error))
            writer.transport.abort()
        except asyncio.CancelledError:
            log.debug("guest connection ended with the sandbox")
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = original_target(writer.get_extra_info("socket"))
        if address == self._gateway and port == _DNS_PORT and (servers := nameservers()):
            address = servers[0]
        elif is_refused(address):
            raise ConnectionRefusedError(f"{address}:{port} is not for guests")
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            far_reader, far_writer = await asyncio.open_connection(address, port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* OSError as errors:
            raise ConnectionResetError(str(errors.exceptions[0])) from errors
        finally:
            far_writer.close()

    async def _answer_questions(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            question, guest = await loop.sock_recvfrom(self._dns, _DATAGRAM_BYTES)
            if len(self._tasks) < _MAX_PENDING_QUESTIONS:
                self._keep(asyncio.create_task(self._ask(question, guest)))

    async def _ask(self, question: bytes, guest: tuple[str, int]) -> None:
        for server in nameservers():
            try:
                answer = await _exchange(server, question)
            except (OSError, TimeoutError) as error:
                log.info("nameserver does not answer", server=server, error=str(error))
                continue
            await asyncio.get_running_loop().sock_sendto(self._dns, answer, guest)
            return


async def _exchange(server: str, question: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        await loop.sock_connect(wire, (server, _DNS_PORT))
        await loop.sock_sendall(wire, question)
        async with asyncio.timeout(_DNS_TIMEOUT_S):
            return await loop.sock_recv(wire, _DATAGRAM_BYTES)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until EOF, and pass EOF on."""
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
