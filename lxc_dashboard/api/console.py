"""The console's websocket: binary messages carry input and output, text messages JSON.

From the browser: ``{"columns": 80, "rows": 24}``. To it: ``{"open": true}`` at the start, ``{"error": "..."}`` before the end.
Input counts as use of the session. An open console, and answers that a terminal sends by itself, do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lxc_dashboard import routes
from lxc_dashboard.api.request import CALLER
from lxc_dashboard.errors import DashboardError, PrivilegeError, ServiceUnavailableError, SessionExpiredError
from lxc_dashboard.services.auth import privileges, sessions
from lxc_dashboard.services.containers.console import console
from lxc_dashboard.state.problems import message_of

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.console import ConsoleSocket
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.state.guard import Caller

log = structlog.get_logger(__name__)

NORMAL_CLOSURE, POLICY_VIOLATION = 1000, 1008
CHECK_SESSION_EVERY_S: Final = 3.0
CHECK_PRIVILEGE_EVERY_S: Final = 30.0
INPUT_BYTES: Final = 256 * 1024
SIDE_MAX: Final = 1000
RECEIVE: Final = "websocket.receive"
NOTE_USE_EVERY_S: Final = 60.0
# What a terminal answers by itself: position, features, colours, focus. Programs in the guest can ask at any time.
TERMINAL_ANSWERS: Final = re.compile(
    rb"\x1b\[[?>=]?[\d;]*(?:[Rcntx]|\$y)|\x1b\[\?[\d;]*u|\x1b\[[IO]|\x1b[P\]_^][^\x07\x1b]*(?:\x07|\x1b\\)"
)


class Size(msgspec.Struct, frozen=True):
    """The terminal's size in characters."""

    columns: int
    rows: int


_SIZE: Final = msgspec.json.Decoder(Size)


def console_routes() -> list[WebSocketRoute]:
    return [WebSocketRoute(f"{routes.CONSOLE_SOCKET}/{{vmid:int}}", converse)]


async def converse(socket: WebSocket) -> None:
    """Connect the browser to the guest's terminal until the session, the privilege or the terminal ends."""
    caller: Caller = socket.scope[CALLER]
    if caller.session is None:  # the middleware requires a session
        raise SessionExpiredError
    await socket.accept()
    code = NORMAL_CLOSURE
    try:
        async with console(caller.runtime, caller.session, socket.path_params["vmid"]) as terminal:
            await _send(socket, {"open": True})
            await _run(socket, terminal, caller.runtime, caller.session)
    except DashboardError as error:
        log.info("console ended", vmid=socket.path_params["vmid"], why=str(error))
        code = POLICY_VIOLATION
        await _send(socket, {"error": message_of(error)})
    with contextlib.suppress(RuntimeError):  # the browser closed it already
        await socket.close(code)


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the browser has gone
        await socket.send_text(msgspec.json.encode(message).decode())


async def _run(socket: WebSocket, terminal: ConsoleSocket, rt: Runtime, session: Session) -> None:
    typed = asyncio.Event()
    tasks = {
        asyncio.create_task(_send_output(socket, terminal)),
        asyncio.create_task(_read_input(socket, terminal, typed)),
        asyncio.create_task(_note_use(rt, session, typed)),
        asyncio.create_task(_watch(rt, session, socket.path_params["vmid"])),
    }
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_output(socket: WebSocket, terminal: ConsoleSocket) -> None:
    while output := await terminal.read():
        try:
            await socket.send_bytes(output)
        except (RuntimeError, WebSocketDisconnect):  # the browser has gone
            return


async def _read_input(socket: WebSocket, terminal: ConsoleSocket, typed: asyncio.Event) -> None:
    """Drops messages that are too large or cannot be read: the page sends none."""
    while (message := await socket.receive())["type"] == RECEIVE:
        data, text = message.get("bytes"), message.get("text")
        if data and len(data) <= INPUT_BYTES:
            if is_input(data):
                typed.set()
            await terminal.type(data)
        elif text:
            await _resize(terminal, text)


def is_input(data: bytes) -> bool:
    """Whether ``data`` holds more than answers that a terminal sends by itself."""
    return TERMINAL_ANSWERS.sub(b"", data) != b""


async def _note_use(rt: Runtime, session: Session, typed: asyncio.Event) -> None:
    """Extend the session after input. A task of its own, because it may renew the ticket in PVE."""
    while await typed.wait():
        typed.clear()
        with contextlib.suppress(ServiceUnavailableError):
            await sessions.use(rt, session.key)
        await asyncio.sleep(NOTE_USE_EVERY_S)


async def _resize(terminal: ConsoleSocket, text: str) -> None:
    try:
        size = _SIZE.decode(text)
    except msgspec.DecodeError:
        log.info("console message invalid", start=text[:40])
        return
    if 0 < size.columns <= SIDE_MAX and 0 < size.rows <= SIDE_MAX:
        await terminal.resize(size.columns, size.rows)


async def _watch(rt: Runtime, session: Session, vmid: int) -> None:
    """Raises ``SessionExpiredError`` or ``PrivilegeError`` once the session or the privilege is gone."""
    loop = asyncio.get_running_loop()
    checked_at = loop.time()
    while True:
        await asyncio.sleep(CHECK_SESSION_EVERY_S)
        if not await sessions.is_open(rt, session.key):
            raise SessionExpiredError
        if loop.time() - checked_at >= CHECK_PRIVILEGE_EVERY_S:
            checked_at = loop.time()
            if privileges.CONSOLE_PRIVILEGE not in await privileges.held(rt, session, f"/vms/{vmid}"):
                raise PrivilegeError(privileges.CONSOLE_PRIVILEGE, f"/vms/{vmid}")
