"""Who listens on a port: before we want it, and once we should."""

from __future__ import annotations

import asyncio
import socket

from lxc_dashboard.embedded.folder import free_port
from lxc_dashboard.errors import ConflictError

_ANSWER_WITHIN_S = 10


def refuse_taken(host: str, port: int) -> None:
    """``ConflictError`` naming the port and the way out, where somebody listens there already.

    ``::1`` is looked at, too: a browser asks it first for ``localhost``.
    """
    places = [(socket.AF_INET, host)]
    if socket.has_ipv6 and _has(socket.AF_INET6, "::1"):
        places.append((socket.AF_INET6, "::1"))
    for family, address in places:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except PermissionError as error:
                raise ConflictError(f"Port {port} needs privileges. Choose one above 1023: PORT=3001") from error
            except OSError as error:
                way_out = f"Choose another one: PORT={free_port(port + 1)}"
                raise ConflictError(f"Port {port} is taken by another program. {way_out}") from error


def _has(family: socket.AddressFamily, address: str) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
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
