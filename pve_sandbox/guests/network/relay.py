"""The relay of the guests' network: it repeats their TCP connections and DNS queries.

It listens in the router's network namespace (``launch.keep``) and connects from the machine's. So the machine's
routing, packet filter and forwarding do not change. Other protocols do not pass. Connections to this machine,
loopback and link-local addresses are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import os
import socket
import struct
from pathlib import Path

import structlog

from pve_sandbox.guests.namespaces.launch import UPLINK
from pve_sandbox.guests.network.netlink import RouteSocket

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


_POOL = [f"10.77.{third}.1/24" for third in range(256)]
_LINK_PREFIX = "lxcdb"
_FILE = "network"


def link_name(data_dir: Path) -> str:
    """The name of this machine's end, one for each data folder."""
    return _LINK_PREFIX + hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8]


def routed_networks() -> list[ipaddress.IPv4Network]:
    """The networks that this machine reaches by a route other than its default."""
    networks = []
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        _, target, _, _, _, _, _, mask, *_ = line.split()
        packed = [ipaddress.IPv4Address(int(text, 16).to_bytes(4, "little")) for text in (target, mask)]
        networks.append(ipaddress.IPv4Network(f"{packed[0]}/{packed[1]}"))
    return [network for network in networks if network.prefixlen]


def choose_gateway(data_dir: Path) -> ipaddress.IPv4Interface:
    """Return the router's address in a free network, the last one if possible."""
    taken = routed_networks()
    start = int(hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest(), 16) % len(_POOL)
    remembered = data_dir / "guests" / _FILE
    wishes = [remembered.read_text(encoding="ascii").strip()] if remembered.is_file() else []
    for text in (*wishes, *_POOL[start:], *_POOL[:start]):
        gateway = ipaddress.IPv4Interface(text)
        if not any(gateway.network.overlaps(network) for network in taken):
            remembered.write_text(text, encoding="ascii")
            return gateway
    raise OSError("No free network for guests in 10.77.0.0/16")


class Uplink:
    """This machine's end of the link. The kernel removes it with the router's namespace."""

    def __init__(self, data_dir: Path, gateway: ipaddress.IPv4Interface) -> None:
        self.name = link_name(data_dir)
        third, link_local = gateway.ip.packed[2], ipaddress.IPv4Address("169.254.77.0")
        self.address = ipaddress.IPv4Interface(f"{link_local + third}/32")
        self._gateway = gateway
        self._led: set[ipaddress.IPv4Address] = set()

    def create(self, router_pid: int) -> None:
        """Create the link and route the guests' network over it. Replaces one of an earlier run."""
        with RouteSocket() as route:
            route.delete_link(self.name)
            netns = os.open(f"/proc/{router_pid}/ns/net", os.O_RDONLY)
            try:
                route.add_veth(self.name, UPLINK, netns)
            finally:
                os.close(netns)
            route.set_up(self.name)
            route.add_address(self.name, self.address, peer=self._gateway.ip)
            route.add_route(self._gateway.network, self.name, via=self._gateway.ip)

    def route_to(self, address: ipaddress.IPv4Address) -> None:
        """Route a guest's address over the link, unless a real machine could have it."""
        if address in self._gateway.network or address in self._led:
            return
        if not address.is_private or any(address in network for network in routed_networks()):
            log.info("requested address not routed", address=str(address))
            return
        with RouteSocket() as route:
            route.add_route(ipaddress.IPv4Network(address), self.name, via=self._gateway.ip)
        self._led.add(address)

    def remove(self) -> None:
        with RouteSocket() as route:
            route.delete_link(self.name)
