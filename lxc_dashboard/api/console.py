"""The console's websocket between a browser and us: binary messages are what is typed and what is shown, text is JSON.

From the browser: ``{"columns": 80, "rows": 24}``. To it: ``{"error": "..."}`` before the end, ``{"open": true}`` at the beginning.
What is typed is a use of the session; that the console is open, and what a terminal answers by itself, is none.
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
from lxc_dashboard.api.middleware.access import CALLER
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

NORMAL, REFUSED = 1000, 1008
LOOKED_EVERY_S: Final = 3.0
RIGHTS_EVERY_S: Final = 30.0
TYPED_BYTES: Final = 256 * 1024
SIDE_MAX: Final = 1000
RECEIVE: Final = "websocket.receive"
USES_NOTED_EVERY_S: Final = 60.0
# Where it is, what it can, its colours, that it has the focus: programs in the guest ask for it whenever they like.
ANSWERS: Final = re.compile(
    rb"\x1b\[[?>=]?[\d;]*(?:[Rcntx]|\$y)|\x1b\[\?[\d;]*u|\x1b\[[IO]|\x1b[P\]_^][^\x07\x1b]*(?:\x07|\x1b\\)"
)


class Size(msgspec.Struct, frozen=True):
    """Of the terminal, in characters."""

    columns: int
    rows: int


_SIZE: Final = msgspec.json.Decoder(Size)


def console_routes() -> list[WebSocketRoute]:
    return [WebSocketRoute(f"{routes.CONSOLE_SOCKET}/{{vmid:int}}", converse)]


async def converse(socket: WebSocket) -> None:
    """As the signed-in user. It ends with the session, with the right to the console, and with the guest's terminal."""
    caller: Caller = socket.scope[CALLER]
    if caller.session is None:  # the door lets nobody come so far
        raise SessionExpiredError
    await socket.accept()
    code = NORMAL
    try:
        async with console(caller.runtime, caller.session, socket.path_params["vmid"]) as terminal:
            await _tell(socket, {"open": True})
            await _until_either_ends(socket, terminal, caller.runtime, caller.session)
    except DashboardError as error:
        log.info("console ended", vmid=socket.path_params["vmid"], why=str(error))
        code = REFUSED
        await _tell(socket, {"error": message_of(error)})
    with contextlib.suppress(RuntimeError):  # the browser was first
        await socket.close(code)


async def _tell(socket: WebSocket, message: dict[str, Any]) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # nobody is there to be told
        await socket.send_text(msgspec.json.encode(message).decode())


async def _until_either_ends(socket: WebSocket, terminal: ConsoleSocket, rt: Runtime, session: Session) -> None:
    typed = asyncio.Event()
    tasks = {
        asyncio.create_task(_show(socket, terminal)),
        asyncio.create_task(_type(socket, terminal, typed)),
        asyncio.create_task(_note_uses(rt, session, typed)),
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


async def _show(socket: WebSocket, terminal: ConsoleSocket) -> None:
    while output := await terminal.read():
        try:
            await socket.send_bytes(output)
        except (RuntimeError, WebSocketDisconnect):  # the browser is gone
            return


async def _type(socket: WebSocket, terminal: ConsoleSocket, typed: asyncio.Event) -> None:
    """What is too large or not understood is dropped: no browser of ours sends it."""
    while (message := await socket.receive())["type"] == RECEIVE:
        data, text = message.get("bytes"), message.get("text")
        if data and len(data) <= TYPED_BYTES:
            if is_typed(data):
                typed.set()
            await terminal.type(data)
        elif text:
            await _resize(terminal, text)


def is_typed(data: bytes) -> bool:
    """Whether anything in it is more than what a terminal answers by itself."""
    return ANSWERS.sub(b"", data) != b""


async def _note_uses(rt: Runtime, session: Session, typed: asyncio.Event) -> None:
    """Beside the typing, which it does not hold up: a ticket may have to be renewed."""
    while await typed.wait():
        typed.clear()
        with contextlib.suppress(ServiceUnavailableError):
            await sessions.use(rt, session.key)
        await asyncio.sleep(USES_NOTED_EVERY_S)


async def _resize(terminal: ConsoleSocket, text: str) -> None:
    try:
        size = _SIZE.decode(text)
    except msgspec.DecodeError:
        log.info("console message not understood", start=text[:40])
        return
    if 0 < size.columns <= SIDE_MAX and 0 < size.rows <= SIDE_MAX:
        await terminal.resize(size.columns, size.rows)


async def _watch(rt: Runtime, session: Session, vmid: int) -> None:
    """Raises when the session has ended, or the right to the console was taken."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    while True:
        await asyncio.sleep(LOOKED_EVERY_S)
        if not await sessions.is_open(rt, session.key):
            raise SessionExpiredError
        if loop.time() - asked_at >= RIGHTS_EVERY_S:
            asked_at = loop.time()
            if privileges.CONSOLE_PRIVILEGE not in await privileges.held(rt, session, f"/vms/{vmid}"):
                raise PrivilegeError(privileges.CONSOLE_PRIVILEGE, f"/vms/{vmid}")
