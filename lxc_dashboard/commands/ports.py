"""Who listens on a port: before we want it, and once we should."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address

from lxc_dashboard.embedded.folder import free_port
from lxc_dashboard.errors import ConflictError, InvalidInputError

_ANSWER_WITHIN_S = 10


@contextmanager
def hold(host: str, port: int) -> Iterator[None]:
    """Hold ``port`` for the web server that this process starts or becomes.

    The web server binds with SO_REUSEPORT: without this a second one would take half of the visitors. ``::1`` is held with
    127.0.0.1, since a browser asks it first for ``localhost``.
    Raises ``ConflictError`` for a port that cannot be had, ``InvalidInputError`` for an unusable ``host``.
    """
    with ExitStack() as held:
        held.enter_context(_bound(host, port))
        if host == "127.0.0.1" and socket.has_ipv6 and _has_ipv6_loopback():
            held.enter_context(_bound("::1", port))
        yield


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 -- its name
    except ValueError:
        raise InvalidInputError({"--host": "must be an IP address"}) from None
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a server that has just ended do not count, other sockets do.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, port))
        # From here on only a server of this user can bind the port, by asking for SO_REUSEPORT.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.set_inheritable(True)
    except OSError as error:
        holder.close()
        raise _refusal(error, host, port) from error
    return holder


def _refusal(error: OSError, host: str, port: int) -> ConflictError | InvalidInputError:
    if isinstance(error, PermissionError):
        return ConflictError(f"Port {port} needs privileges. Choose one above 1023: PORT=3001")
    if error.errno != errno.EADDRINUSE:
        return InvalidInputError({"--host": f"{host} is no address of this machine"})
    return ConflictError(f"Port {port} is taken by another program. Choose another one: PORT={free_port(port + 1)}")


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


async def answers(host: str, port: int, path: str) -> bool:
    """Whether a GET of ``path`` is answered with 200."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except OSError:
        return False
