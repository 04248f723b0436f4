"""How many connections one address may hold in this process, and how many of them without a request.

The server accepts connections below ASGI, so a connection without a request reaches no ASGI layer. This module therefore
looks at the process's own sockets and closes those over the limits. It counts by the peer's address, without headers.
Proxies of ``TRUSTED_PROXIES`` have no limit: they limit their own clients.
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

# Browsers open one or two connections in advance.
SILENT_PER_ADDRESS: Final = 64
PER_ADDRESS: Final = 1024
CHECK_EVERY_S: Final = 1.0
DESCRIPTORS: Final = "/proc/self/fd"

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Socket:
    """A TCP socket of this process. A listening socket has no ``peer``."""

    inode: int
    descriptor: int
    port: int
    peer: Peer | None

    def close(self) -> None:
        """Shut the socket down, unless the server has closed it in another thread and its descriptor is reused."""
        with suppress(OSError), _duplicate(self.descriptor) as found:
            if os.fstat(found.fileno()).st_ino == self.inode:
                found.shutdown(socket.SHUT_RDWR)


class Connections:
    """One per web process. ``trust`` is called at each check."""

    def __init__(
        self,
        trust: Callable[[], Trust],
        *,
        silent_per_address: int = SILENT_PER_ADDRESS,
        per_address: int = PER_ADDRESS,
    ) -> None:
        self._trust, self._silent_per_address, self._per_address = trust, silent_per_address, per_address
        self._sockets: dict[int, _Socket | None] = {}  # by inode, oldest first; None for other kinds of socket
        self._with_request: set[Peer] = set()

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Wrap ``app``, noting which connections have sent a request."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("client"):
                self._with_request.add(_peer(*scope["client"]))
            await app(scope, receive, send)

        return noting

    async def run(self) -> None:
        """Check every second until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                self.check()
            except Exception:
                log.exception("connection check failed")

    def check(self) -> None:
        """Close the newest connections of each address that is over a limit."""
        with_request = set(self._with_request)
        accepted = self._accepted()
        self._with_request -= with_request - accepted.keys()  # closed; others may have just sent a request
        trust = self._trust()
        by_address: defaultdict[str, list[Peer]] = defaultdict(list)
        for peer in accepted:
            if not trust.trusts(peer[0]):
                by_address[network(peer[0])].append(peer)
        for address, peers in by_address.items():
            silent = [peer for peer in peers if peer not in self._with_request]
            over = {*silent[self._silent_per_address :], *peers[self._per_address :]}
            if over:
                log.warning("connections over the limit closed", address=address, count=len(over))
            for peer in over:
                accepted[peer].close()

    def _accepted(self) -> dict[Peer, _Socket]:
        """The connections that this process has accepted, oldest first."""
        open_now = _open_sockets()
        self._sockets = {inode: known for inode, known in self._sockets.items() if inode in open_now}
        for inode, descriptor in open_now.items():
            if inode not in self._sockets:
                self._sockets[inode] = _socket(inode, descriptor)
        known = [each for each in self._sockets.values() if each is not None]
        ports = {each.port for each in known if each.peer is None}
        return {each.peer: each for each in known if each.peer is not None and each.port in ports}


def _open_sockets() -> dict[int, int]:
    """The process's sockets: descriptor by inode."""
    found: dict[int, int] = {}
    for entry in os.scandir(DESCRIPTORS):
        with suppress(OSError):  # closed since the scan
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
    """Address and port in one spelling. The server gives the port as text."""
    try:
        address = ip_address(host)
    except ValueError:
        return host, int(port)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address), int(port)
