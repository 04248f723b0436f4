"""How the sockets of an ended session close, on the real websocket server without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import socketio  # type: ignore[import-untyped]
from engineio.exceptions import SocketIsClosedError  # type: ignore[import-untyped]
from reflex.state import StateUpdate
from reflex_base.utils.format import json_dumps

from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.state.socket import sockets
from lxc_dashboard.state.socket.sockets import NAMESPACE, Sockets

FEED = "feed"


class Line:
    """A browser's connection."""

    def __init__(self) -> None:
        self.closed = False
        self.session: dict[str, Any] = {}
        self.told: list[str] = []

    async def send(self, packet: Any) -> None:
        if self.closed:
            raise SocketIsClosedError
        self.told.append(str(packet.data))

    async def close(self, **_: Any) -> None:
        self.closed = True


class Tabs:
    """The tabs of a signed-in user."""

    def __init__(self) -> None:
        self.server = socketio.AsyncServer(async_mode="asgi", json=SimpleNamespace(dumps=json_dumps, loads=json.loads))
        self.sockets = Sockets(SimpleNamespace(sio=self.server))  # type: ignore[arg-type]  # no other part of it is used
        self.session = Session(uuid4(), uuid4(), "pve", "op@pve", datetime.now(UTC), key="key")

    async def opened(self) -> tuple[str, Line]:
        line, name = Line(), uuid4().hex
        self.server.eio.sockets[name] = line
        sid = await self.server.manager.connect(name, NAMESPACE)
        await self.sockets.join(sid, self.session, "/jobs")
        await self.sockets.enter(sid, FEED)
        return sid, line


@pytest.fixture
def tabs(monkeypatch: pytest.MonkeyPatch) -> Tabs:
    monkeypatch.setattr(sockets, "LAST_WORD_S", 0.0)
    return Tabs()


async def test_all_sockets_of_an_ended_session_are_redirected_and_closed(tabs: Tabs) -> None:
    lines = [(await tabs.opened())[1] for _ in range(3)]
    assert tabs.sockets.count(FEED) == 3
    assert await tabs.sockets.leave_all(tabs.session.id) == 3
    assert tabs.sockets.count(FEED) == 0
    assert all(line.closed and "/sign-in?next=%2Fjobs" in "".join(line.told) for line in lines)


async def test_a_closing_socket_delays_none_of_the_others(tabs: Tabs) -> None:
    (_, going), (_, staying) = await tabs.opened(), await tabs.opened()
    going.closed = True  # but still in its rooms
    await tabs.sockets.leave_all(tabs.session.id)
    assert tabs.sockets.count(FEED) == 0
    assert staying.closed
    assert "/sign-in" in "".join(staying.told)


async def test_an_event_of_a_closing_socket_does_not_fail(tabs: Tabs) -> None:
    sid, line = await tabs.opened()
    line.closed = True
    await tabs.sockets.join(sid, tabs.session, "/templates")


async def test_a_socket_that_joins_while_others_are_redirected_is_redirected_by_the_next_sweep(
    tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit, late = tabs.server.emit, list[Line]()

    async def emit_late(*told: Any, **to: Any) -> None:
        if not late:
            late.append((await tabs.opened())[1])
        await emit(*told, **to)

    async def nothing(_key: str) -> None:
        return None

    await tabs.opened()
    monkeypatch.setattr(tabs.server, "emit", emit_late)
    assert await tabs.sockets.leave_all(tabs.session.id) == 1
    assert tabs.sockets.count(FEED) == 1
    await tabs.sockets.sweep(SimpleNamespace(bus=SimpleNamespace(get=nothing)))  # type: ignore[arg-type]  # as above
    assert tabs.sockets.count(FEED) == 0
    assert late[0].closed


async def test_a_push_reaches_a_room_without_those_in_another(tabs: Tabs) -> None:
    (listing, told_elsewhere), (_, told) = await tabs.opened(), await tabs.opened()
    (_, closing) = await tabs.opened()
    closing.closed = True
    await tabs.sockets.enter(listing, "list")
    await tabs.sockets.push(FEED, StateUpdate(delta={"state": {"feed": 1}}), but="list")
    assert [json.loads(line.partition(",")[2]) for line in told.told] == [["event", {"delta": {"state": {"feed": 1}}}]]
    assert told_elsewhere.told == closing.told == []
