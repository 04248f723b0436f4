"""How many connections one address may hold of this process, and how many that have not asked for anything yet.

The server accepts connections below ASGI, so a connection that says nothing is seen by no layer of ours. This looks at the
process's own sockets instead, and closes what is over the bounds. The address is the peer's own: headers are not read here.
A proxy of ``TRUSTED_PROXIES`` is not bounded: it bounds its own clients.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from lxc_dashboard.api.middleware.address import Trust
from lxc_dashboard.services.auth.limits import network

log = structlog.get_logger(__name__)

# Browsers open a connection or two ahead.
SILENT_PER_ADDRESS: Final = 64
PER_ADDRESS: Final = 1024
LOOK_S: Final = 1.0
DESCRIPTORS: Final = "/proc/self/fd"

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Socket:
    """A TCP socket of this process. ``peer`` None: it listens."""

    inode: int
    descriptor: int
    port: int
    peer: Peer | None

    def close(self) -> None:
        """Unless the descriptor is another one's by now: the server closes its own in other threads."""
        with suppress(OSError), _duplicate(self.descriptor) as found:
            if os.fstat(found.fileno()).st_ino == self.inode:
                found.shutdown(socket.SHUT_RDWR)


class Connections:
    """One per web process. ``trust`` is asked at each look."""

    def __init__(
        self,
        trust: Callable[[], Trust],
        *,
        silent_per_address: int = SILENT_PER_ADDRESS,
        per_address: int = PER_ADDRESS,
    ) -> None:
        self._trust, self._silent_per_address, self._per_address = trust, silent_per_address, per_address
        self._sockets: dict[int, _Socket | None] = {}  # by inode, the longest open first; None for what is no TCP
        self._spoken: set[Peer] = set()

    def around(self, app: ASGIApp) -> ASGIApp:
        """``app``, noting over which connections requests come."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("client"):
                self._spoken.add(_peer(*scope["client"]))
            await app(scope, receive, send)

        return noting

    async def follow(self) -> None:
        """Runs as long as the process."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except Exception:
                log.exception("connections not looked at")

    def look(self) -> None:
        """Look once at all connections of the server, and close those over the bounds: the last of an address first."""
        spoken = set(self._spoken)
        accepted = self._accepted()
        self._spoken -= spoken - accepted.keys()  # those that ended; others may have spoken only now
        trust = self._trust()
        by_address: defaultdict[str, list[Peer]] = defaultdict(list)
        for peer in accepted:
            if not trust.believes(peer[0]):
                by_address[network(peer[0])].append(peer)
        for address, peers in by_address.items():
            silent = [peer for peer in peers if peer not in self._spoken]
            over = {*silent[self._silent_per_address :], *peers[self._per_address :]}
            if over:
                log.warning("connections over the bound closed", address=address, count=len(over))
            for peer in over:
                accepted[peer].close()

    def _accepted(self) -> dict[Peer, _Socket]:
        """What the listening sockets of this process have accepted, the longest open first."""
        there = _open_sockets()
        self._sockets = {inode: known for inode, known in self._sockets.items() if inode in there}
        for inode, descriptor in there.items():
            if inode not in self._sockets:
                self._sockets[inode] = _socket(inode, descriptor)
        known = [each for each in self._sockets.values() if each is not None]
        ports = {each.port for each in known if each.peer is None}
        return {each.peer: each for each in known if each.peer is not None and each.port in ports}


def _open_sockets() -> dict[int, int]:
    """Descriptors by inode."""
    found: dict[int, int] = {}
    for entry in os.scandir(DESCRIPTORS):
        with suppress(OSError):  # closed meanwhile
            status = entry.stat()
            if stat.S_ISSOCK(status.st_mode):
                found[status.st_ino] = int(entry.name)
    return found


def _socket(inode: int, descriptor: int) -> _Socket | None:
    with suppress(OSError), _duplicate(descriptor) as found:
        if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
            listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            peer = None if listens else _peer(*found.getpeername()[:2])
            return _Socket(inode, descriptor, found.getsockname()[1], peer)
    return None


def _duplicate(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))


def _peer(host: str, port: int | str) -> Peer:
    """One spelling of an address and its port, which the server tells as text."""
    try:
        address = ip_address(host)
    except ValueError:
        return host, int(port)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address), int(port)
