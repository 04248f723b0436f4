"""``lxc-dashboard web``: the web server with the built pages."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import NoReturn

from lxc_dashboard import frontend
from lxc_dashboard.commands.terminal import err
from lxc_dashboard.embedded.folder import free_port
from lxc_dashboard.errors import ConflictError, InvalidInputError
from lxc_dashboard.settings import Settings

_ANSWER_TIMEOUT_S = 10


@contextmanager
def hold_port(host: str, port: int) -> Iterator[None]:
    """Reserve ``port`` for the web server that this process starts or becomes.

    The web server binds with SO_REUSEPORT, so a second one would take half of the requests. ``::1`` is reserved together
    with 127.0.0.1, because browsers try it first for ``localhost``.
    Raises ``ConflictError`` if the port is not free, ``InvalidInputError`` for an invalid ``host``.
    """
    with ExitStack() as held:
        held.enter_context(_bound(host, port))
        if host == "127.0.0.1" and socket.has_ipv6 and _has_ipv6_loopback():
            held.enter_context(_bound("::1", port))
        yield


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 - the protocol's number
    except ValueError:
        raise InvalidInputError({"--host": "must be an IP address"}) from None
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Ignores connections of a server that has just ended.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, port))
        # From here on only a server of the same user that sets SO_REUSEPORT can bind the port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.set_inheritable(True)
    except OSError as error:
        holder.close()
        raise _refusal(error, host, port) from error
    return holder


def _refusal(error: OSError, host: str, port: int) -> ConflictError | InvalidInputError:
    if isinstance(error, PermissionError):
        return ConflictError(f"Port {port} needs root. Choose one above 1023: PORT=3001")
    if error.errno != errno.EADDRINUSE:
        return InvalidInputError({"--host": f"{host} is not an address of this machine"})
    return ConflictError(f"Port {port} is in use by another program. Choose another one: PORT={free_port(port + 1)}")


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


async def port_answers(host: str, port: int, path: str) -> bool:
    """Whether a GET of ``path`` returns 200."""
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except OSError:
        return False


def run(host: str) -> NoReturn:
    """Reserve the port, build the pages if needed, become the server.

    Raises ``ConflictError``, ``InvalidInputError``, ``FrontendError``.
    """
    settings = Settings.load()
    with hold_port(host, settings.PORT):
        build(os.environ)
        command = frontend.serve_command(host, settings.PORT, workers=settings.WEB_WORKERS)
        os.chdir(frontend.root())
        os.execve(command[0], command, frontend.serve_environ(os.environ))  # noqa: S606 - becomes the server


def build(environ: Mapping[str, str]) -> None:
    """Build the pages unless they are up to date. Raises ``FrontendError``."""
    frontend.ensure_built(environ, lambda: err.print("Building the pages (once, 20 to 60 s)"))


def main() -> None:
    """Build the pages: ``python -m lxc_dashboard.commands.web``, a child process of ``demo``."""
    import signal

    from lxc_dashboard.commands.terminal import explain
    from lxc_dashboard.errors import DashboardError

    if os.getpgrp() == os.getpid():  # node and npm do not get our signals: end the whole group
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    try:
        build(os.environ)
    except DashboardError as error:
        explain(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
