"""The sockets of this process: the session of each, their rooms, and how they close when a session ends.

The guard does not check pushes. So a socket leaves every room and is closed when its session ends. This happens at once if
the end is announced, and within ``SWEEP_S`` if the session expires. Only this package and ``guard`` know Reflex's protocol.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import reflex as rx
import structlog
from engineio import packet as eio_packet  # type: ignore[import-untyped]
from engineio.exceptions import SocketIsClosedError  # type: ignore[import-untyped]
from reflex.event import Event
from reflex.state import StateUpdate
from socketio import packet  # type: ignore[import-untyped]

from lxc_dashboard import routes
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.auth.model import Session

if TYPE_CHECKING:
    from reflex.app import App

    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

NAMESPACE: Final = "/_event"
EVENT: Final = "event"
LAST_WORD_S: Final = 0.5
SWEEP_S: Final = 15.0
LISTEN_AGAIN_S: Final = 1.0
UNSENT_BYTES: Final = 4 << 20
_SESSION_ROOM: Final = "session:"


def to_sign_in(address: str) -> StateUpdate:
    """Redirect the page to the sign-in page, which leads back to ``address``."""
    return StateUpdate(events=Event.from_event_type(rx.redirect(routes.sign_in(address), replace=True)))


class Sockets:
    """One per web process. A socket that closes leaves its rooms by itself."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._keys: dict[UUID, str] = {}
        self._leaving: set[asyncio.Task[int]] = set()

    async def join(self, sid: str, session: Session, address: str) -> None:
        """Store that the socket ``sid`` belongs to this session and shows ``address``."""
        server = self._server
        if not sid or not server.manager.is_connected(sid, NAMESPACE):
            return
        await self.enter(sid, f"{_SESSION_ROOM}{session.id}")
        self._keys[session.id] = session.key
        with suppress(KeyError):  # the socket is closing
            await server.save_session(sid, {"address": address}, namespace=NAMESPACE)

    def is_there(self, sid: str) -> bool:
        return bool(self._server.manager.is_connected(sid, NAMESPACE))

    async def enter(self, sid: str, room: str) -> None:
        """Let ``push(room, ...)`` reach this socket. Does nothing for a closed socket."""
        if self.is_there(sid) and room not in self._server.rooms(sid, NAMESPACE):
            await self._server.enter_room(sid, room, namespace=NAMESPACE)

    async def quit(self, sid: str, room: str) -> None:
        await self._server.leave_room(sid, room, namespace=NAMESPACE)

    async def push(self, room: str, update: StateUpdate, *, but: str = "") -> None:
        """Send one frame, encoded once, to the sockets in ``room`` that are not in the room ``but``. Loads no tab's state.

        The server's own ``emit`` makes a task for each socket, which costs a third of the whole push.
        """
        manager, eio = self._server.manager, self._server.eio
        left_out = {sid for sid, _ in manager.get_participants(NAMESPACE, but)} if but else set()
        encoded = self._server.packet_class(packet.EVENT, namespace=NAMESPACE, data=[EVENT, update]).encode()
        frame = eio_packet.Packet(eio_packet.MESSAGE, encoded)
        for sid, transport in list(manager.get_participants(NAMESPACE, room)):
            if sid not in left_out:
                with suppress(SocketIsClosedError):
                    await eio.send_packet(transport, frame)

    def count(self, room: str) -> int:
        """How many sockets of this process are in the room."""
        return len(list(self._server.manager.get_participants(NAMESPACE, room)))

    async def follow_ends(self, runtime: Runtime) -> None:
        """Redirect the pages of each session that ends to the sign-in page. Runs as long as the process."""
        sweeping = asyncio.create_task(self._sweep_always(runtime), name="session sweep")
        try:
            while True:
                with suppress(ServiceUnavailableError):
                    async with runtime.bus.listen(sessions.ENDED_CHANNEL) as announcements:
                        async for _, message in announcements:
                            leaving = asyncio.create_task(self.leave_all(UUID(message.decode())))
                            self._leaving.add(leaving)
                            leaving.add_done_callback(self._log_failure)
                await asyncio.sleep(LISTEN_AGAIN_S)
        finally:
            sweeping.cancel()

    async def leave_all(self, session_id: UUID) -> int:
        """Redirect each socket of the session to the sign-in page, close it, and return how many there were.

        A socket that closes by itself during this does not delay the others.
        """
        server = self._server
        sids = [sid for sid, _ in server.manager.get_participants(NAMESPACE, f"{_SESSION_ROOM}{session_id}")]
        for sid in sids:
            for room in [room for room in server.rooms(sid, NAMESPACE) if room != sid]:
                await self.quit(sid, room)
        for sid in sids:
            await server.emit(EVENT, to_sign_in(await self._address(sid)), to=sid, namespace=NAMESPACE)
        if sids:
            # An emit only queues the redirect, which must be sent before the close.
            await asyncio.sleep(LAST_WORD_S)
        for sid in sids:
            transport = server.manager.eio_sid_from_sid(sid, NAMESPACE)
            await server.disconnect(sid, namespace=NAMESPACE)
            if transport is not None:
                # Returns when the browser has read everything: never for a browser that does not read.
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORD_S):
                        await server.eio.disconnect(transport)
        if not self.count(f"{_SESSION_ROOM}{session_id}"):  # otherwise the next sweep closes a new socket
            self._keys.pop(session_id, None)
        return len(sids)

    async def sweep(self, runtime: Runtime) -> None:
        """Check each session of this process once: it may have expired, or the announcement of its end was lost."""
        for session_id, key in list(self._keys.items()):
            if not self.count(f"{_SESSION_ROOM}{session_id}"):
                self._keys.pop(session_id, None)
            elif not await sessions.is_open(runtime, key):
                await self.leave_all(session_id)

    async def _sweep_always(self, runtime: Runtime) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep(runtime)
            except ServiceUnavailableError as error:
                log.info("sessions not checked", why=str(error))
            except Exception:
                log.exception("sessions not checked")

    async def _address(self, sid: str) -> str:
        """The address of the socket's page; the dashboard for a socket that is closing."""
        try:
            return str((await self._server.get_session(sid, namespace=NAMESPACE)).get("address", ""))
        except KeyError:
            return routes.DASHBOARD

    def _log_failure(self, leaving: asyncio.Task[int]) -> None:
        self._leaving.discard(leaving)
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            log.error("sockets of an ended session not closed", exc_info=error)

    @property
    def _server(self) -> Any:
        if self._app.sio is None:
            raise RuntimeError("the app has no websocket")
        return self._app.sio


class UnsentQueue(asyncio.Queue[Any]):
    """The queue of one socket, for ``create_queue`` of Engine.IO, which has no bound of its own.

    A put over ``UNSENT_BYTES`` stores Engine.IO's end mark in place of its packet: a page that missed an update must load again.
    Later packets are dropped. One packet alone may be larger than the bound.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0
        self._is_over = False

    async def put(self, item: Any) -> None:
        if self._is_over:
            return
        if item is not None and self._bytes > UNSENT_BYTES:
            log.warning("page does not read its updates", unsent_bytes=self._bytes)
            self._is_over, item = True, None
        await super().put(item)

    def _put(self, item: Any) -> None:
        self._bytes += _size(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    """The size of a packet in characters or bytes; 0 for the end mark and for packets without text."""
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, (str, bytes)) else 0
