"""``termproxy`` and ``vncwebsocket``: a guest's terminal in a browser by PVE's protocol, on a pty that its viewers share."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import WSMsgType, web
from fakepve.model import PveError, TaskError
from fakepve.server import FORMATS

from pve_sandbox.api.access.privileges import Routes
from pve_sandbox.api.access.sign_in import CONSOLE_TICKET_LIFETIME_S
from pve_sandbox.api.checks import Values
from pve_sandbox.api.containers.lifecycle import Containers

# A shell needs the pty as its controlling terminal.
CONTROLLING = ("setsid", "--ctty", "--wait")
READ_BYTES = 64 * 1024
Listener = Callable[[bytes], Awaitable[None]]


class Terminal:
    """A command on a pty. It outlives its viewers. ``ended`` is set when the command ends."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.listeners: set[Listener] = set()
        self._master = -1
        self._typing = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    async def open(self, argv: Sequence[str]) -> None:
        master, slave = pty.openpty()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *CONTROLLING, *argv, stdin=slave, stdout=slave, stderr=slave
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        self._master = master
        self._pump = asyncio.create_task(self._read())

    def resize(self, columns: int, rows: int) -> None:
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def write(self, data: bytes) -> None:
        """Write ``data`` without mixing it with other input. Waits while the command does not read."""
        async with self._typing:
            while data and self._master >= 0:
                try:
                    data = data[os.write(self._master, data) :]
                except BlockingIOError:
                    await self._ready(writing=True)
                except OSError:
                    return

    async def _read(self) -> None:
        try:
            while True:
                await self._ready(writing=False)
                try:
                    data = os.read(self._master, READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:  # EIO: the last process closed the pty
                    break
                if not data:
                    break
                await self._broadcast(data)
        finally:
            self._close_pty()
            self.ended.set()

    async def _broadcast(self, data: bytes) -> None:
        """Send output to every viewer. A viewer that left is removed."""
        for listener in list(self.listeners):
            try:
                await listener(data)
            except OSError:
                self.listeners.discard(listener)

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(self._master, _set_ready, ready)
        try:
            await ready
        finally:
            if self._master >= 0:
                remove(self._master)

    def _close_pty(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_writer(self._master)  # the number of the descriptor may be used again
            os.close(self._master)
            self._master = -1

    async def close(self) -> None:
        """End the command and disconnect its viewers."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._process is not None:
            await self._process.wait()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)


def _set_ready(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


log = structlog.get_logger(__name__)

FIRST_PORT = 5900
CONNECT_WITHIN_S = 10
LARGEST_MESSAGE_BYTES = 128 * 1024
LARGEST_SIZE = 1000
MESSAGE = re.compile(rb"0:(?P<length>\d{1,6}):|1:(?P<columns>\d{1,4}):(?P<rows>\d{1,4}):")
UNFINISHED = re.compile(rb"0(:\d{0,6})?|1(:\d{0,4}(:\d{0,4})?)?")
# ``script`` gives the shell a pty of the guest, so that it finds its terminal under /dev/pts.
# The size is set once ``script`` listens: a change between its start and that moment would be lost.
ON_A_PTY = """
export SHELL=/bin/sh
command -v script >/dev/null && exec script -qfc "kill -WINCH \\$PPID
$0" /dev/null
exec /bin/sh -c "$0"
"""
# As nobody, su asks for the password, and the guest checks it.
# A guest with a single uid has no nobody, so anybody gets in.
LOGIN = """
admit() {
  if su -s /bin/sh nobody -c : 2>/dev/null; then su -s /bin/sh nobody -c 'exec su -l -- "$0"' -- "$1"; else su -l -- "$1"; fi
}
while :; do
  printf '%s login: ' "$(hostname)"
  read -r name || exit
  [ -n "$name" ] && admit "$name"
  sleep 1
done
"""
SHELL = "if command -v bash >/dev/null; then exec bash -l; else exec sh -l; fi"


@dataclass(slots=True)
class PendingTerminal:
    """A terminal that was requested and not joined yet."""

    vmid: int
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)


class Console(Containers):
    """With cmode ``shell`` root's shell, else a login prompt. Tabs share one session a guest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pending_terminals: dict[int, PendingTerminal] = {}
        self._terminals: dict[int, Terminal] = {}
        self._opening = asyncio.Lock()

    def _routes_console(self) -> Routes:
        return [("POST", "/nodes/{node}/lxc/{vmid}/termproxy", self._lxc_termproxy)]

    async def _lxc_termproxy(self, v: Values, user: str) -> Values:
        guest = self._find_ct(v["node"], v["vmid"])
        if self.guest_host is None or guest.vmid not in self.hosted:
            raise PveError(500, "Timeout while waiting for port '5900' to get ready!")
        port = next(p for p in range(FIRST_PORT, FIRST_PORT + 1000) if p not in self._pending_terminals)
        pending = self._pending_terminals[port] = PendingTerminal(guest.vmid)

        async def body() -> None:
            try:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    await pending.joined.wait()
            except TimeoutError:
                raise TaskError("connection timed out") from None
            finally:
                if not pending.joined.is_set():
                    self._pending_terminals.pop(port, None)
            await pending.left.wait()

        detached, self.tasks_detached = self.tasks_detached, True
        upid = await self.task(v["node"], "vncproxy", guest.vmid, user, body)
        self.tasks_detached = detached
        ticket = self.ticket_issuer.issue(user, prefix="PVEVNC", bound_to=f"/vms/{guest.vmid}:{port}")
        return {"port": port, "ticket": ticket, "upid": upid, "user": user}

    def add_websocket(self, router: web.UrlDispatcher) -> None:
        for prefix in FORMATS:
            router.add_get(prefix + "/nodes/{node}/lxc/{vmid}/vncwebsocket", self._lxc_websocket)

    async def _lxc_websocket(self, request: web.Request) -> web.StreamResponse:
        joined: list[tuple[PendingTerminal, str, str]] = []

        async def check_ticket(v: Values, user: str) -> None:
            pending = self._pending_terminals.get(int(v["port"]))
            bound_to = f"/vms/{v['vmid']}:{v['port']}"
            ticket = self.ticket_issuer.open(
                v["vncticket"], prefix="PVEVNC", bound_to=bound_to, lifetime_s=CONSOLE_TICKET_LIFETIME_S
            )
            if ticket is None or ticket.subject != user:
                raise PveError(401, "permission denied - invalid PVEVNC ticket")
            if pending is None:
                raise PveError(500, f"connect to port {v['port']} failed: Connection refused")
            joined.append((self._pending_terminals.pop(int(v["port"])), user, v["vncticket"]))

        await self.checked(request, check_ticket)
        pending, user, ticket = joined[0]
        socket = web.WebSocketResponse(protocols=("binary",), max_msg_size=LARGEST_MESSAGE_BYTES)
        pending.joined.set()
        try:
            await socket.prepare(request)
            await self._serve_terminal(socket, pending.vmid, f"{user}:{ticket}\n")
        finally:
            pending.left.set()
        await socket.close()
        return socket

    async def _serve_terminal(self, socket: web.WebSocketResponse, vmid: int, hello: str) -> None:
        first = await socket.receive()
        text = first.data.encode() if first.type is WSMsgType.TEXT else first.data
        if first.type not in {WSMsgType.TEXT, WSMsgType.BINARY} or not text.startswith(hello.encode()):
            return
        terminal = await self._terminal(vmid)
        await socket.send_bytes(b"OK")
        terminal.listeners.add(socket.send_bytes)
        typing = asyncio.create_task(self._type(socket, terminal, text[len(hello.encode()) :]))
        ended = asyncio.create_task(terminal.ended.wait())
        try:
            await asyncio.wait({typing, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            terminal.listeners.discard(socket.send_bytes)
            for job in (typing, ended):
                job.cancel()
            await asyncio.gather(typing, ended, return_exceptions=True)

    async def _terminal(self, vmid: int) -> Terminal:
        """Return the session of a guest, and open one if none runs.

        Callers wait while it opens, because input before there is a pty would be lost.
        """
        async with self._opening:
            terminal = self._terminals.get(vmid)
            guest = self.ct(vmid)
            if terminal is None or terminal.ended.is_set():
                if self.guest_host is None or guest is None:
                    raise PveError(500, f"CT {vmid} not running")
                command = SHELL if guest.config.get("cmode") == "shell" else LOGIN
                terminal = Terminal()
                await terminal.open(self.guest_host.argv(vmid, ["/bin/sh", "-c", ON_A_PTY, command], tty=True))
                self._terminals[vmid] = terminal
            return terminal

    async def _type(self, socket: web.WebSocketResponse, terminal: Terminal, rest: bytes) -> None:
        """Handle ``0:LEN:DATA`` (input), ``1:COLS:ROWS:`` (resize) and ``2`` (keepalive)."""
        pending = rest
        async for message in socket:
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            pending += message.data.encode() if message.type is WSMsgType.TEXT else message.data
            while pending:
                used = await _handle(terminal, pending)
                if used is None:
                    log.warning("invalid console message", start=pending[:16])
                    return
                if not used:
                    break
                pending = pending[used:]

    async def close_terminals(self) -> None:
        for terminal in self._terminals.values():
            await terminal.close()
        self._terminals.clear()


async def _handle(terminal: Terminal, data: bytes) -> int | None:
    """Handle the first message in ``data``.

    Returns its length, 0 while it is incomplete, ``None`` if it is invalid.
    """
    if data[:1] == b"2":
        return 1
    match = MESSAGE.match(data)
    if match is None:
        return 0 if UNFINISHED.fullmatch(data) else None
    if match["columns"]:
        size = int(match["columns"]), int(match["rows"])
        if not all(0 < side <= LARGEST_SIZE for side in size):
            return None
        terminal.resize(*size)
        return match.end()
    end = match.end() + int(match["length"])
    if len(data) < end:
        return 0
    await terminal.write(data[match.end() : end])
    return end
