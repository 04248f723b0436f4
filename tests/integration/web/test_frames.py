"""Frames that no page sends, against a running web server: each causes at most one line in the log."""

from __future__ import annotations

import json
import uuid
from typing import Any

import aiohttp
import pytest

from lxc_dashboard import text
from tests.e2e.stack import Stack
from tests.integration.web.conftest import HYDRATE, PATIENCE_S, Tab, Visitor, tab
from tests.integration.web.test_events import ON_LOAD, SAVE_STATE, SESSION_STATE

PLACE = {"pathname": "/", "asPath": "/", "query": {}}
NOTICES = "reflex___state____state.lxc_dashboard___state___notices____notice_state.show"
LINE_CHARS = 400
LINES_AT_MOST = 2
TRIES = 3
"""For a line of another task of the server, written meanwhile: one of the frame's own would come each time."""
HUGE = {f"{n}{'a' * 1000}": "b" for n in range(500)}


def sent(*said: Any) -> str:
    return f"42/_event,{json.dumps(said)}"


def each(*odd: Any) -> tuple[Any, ...]:
    return odd


def event(**fields: Any) -> str:
    return sent("event", {"name": HYDRATE, "payload": {}, "router_data": PLACE, **fields})


def named(name: str, payload: Any) -> str:
    return event(name=name, payload=payload)


ODD: tuple[Any, ...] = (None, "text", "", 5, 1.5, True, [], ["x"], [[]], {"x": 1}, {"a.b.c": 1}, HUGE, "x" * 100_000)
NOT_VARS: list[Any] = [odd for odd in ODD if odd is not None]
NOT_DICTS: list[Any] = [odd for odd in ODD if not isinstance(odd, dict)]
FRAMES: dict[str, list[str]] = {
    "vars": [named(HYDRATE, {"vars": odd}) for odd in NOT_VARS],
    "hashes": [named(HYDRATE, {"hashes": odd}) for odd in each("text", 5, True, [[]], [None], {"x": 1}, ["x"] * 2000)],
    "payload": [named(HYDRATE, odd) for odd in each(*NOT_DICTS, {"x": 1}, HUGE)],
    "router data": [event(router_data=odd) for odd in NOT_DICTS],
    "path": [event(router_data={**PLACE, "pathname": odd}) for odd in each(None, 5, [], {}, "x" * 100_000)],
    "address": [event(router_data={**PLACE, "asPath": odd}) for odd in each(None, 5, [], {}, "x" * 100_000)],
    "query": [event(router_data={**PLACE, "query": odd}) for odd in each(*NOT_DICTS, {"a": {}}, {"a": [{}]}, HUGE)],
    "name": [event(name=odd) for odd in each(*ODD, "no.such.handler", "\0", "\ud800", "line\nforged")],
    "event": [sent("event", odd) for odd in each(*ODD, "{}")],
    "number of arguments": [sent("event"), sent("event", {}, {}), sent("client_error"), sent("client_error", 1, 2)],
    "other messages": [
        sent(odd, 1) for odd in each("ping", "emit_update", "trigger_event", "x\ny", "", None, 5, [], {})
    ],
    "connect": [sent("connect"), sent("connect", "x"), sent("connect", {"QUERY_STRING": "token=x", "asgi.scope": {}})],
    "disconnect": [sent("disconnect"), sent("disconnect", "x"), sent("disconnect", 1, 2, 3)],
    "arguments": [named(NOTICES, odd) for odd in each({}, {"message": "a"}, {"message": "a", "tone": "b", "more": 1})],
    "kinds of arguments": [
        *(named(NOTICES, {"message": odd, "tone": "", "reference": ""}) for odd in each([], {}, HUGE)),
        *(named(f"{SAVE_STATE}.save", {"data": odd}) for odd in each("x", 5, None, [])),
        named(ON_LOAD, {"a": 1}),
    ],
    "JSON": [f"42/_event,{odd}" for odd in each("", "[", "{}", "[]", "5", "NaN", "[" * 5000)],
    "packets": ["4", "49/_event,[]", "42", "42/other,[]", "40/other,{}", "43/_event,1[]", "43/_event,", "46", "4x"],
    "numbers": [f"42/_event,{'9' * 200}[]", f"45{'9' * 30}-/_event,[]", f"43/_event,{'9' * 30}[]"],
    "Engine.IO": ["0", "0{}", "3x", "5", "6"],
}
ENDING = ["7", "hello", "b4AAEC", "-1", "\u0664"]
BEGINNINGS = [
    *('"x"', "[1]", "true", '{"event":"x"}', '{"event":[1]}', '{"event":5}', '{"event":{"name":[]}}'),
    json.dumps({"event": {"name": HYDRATE, "payload": {"vars": "x"}, "router_data": PLACE}}),
    json.dumps({"event": {"name": HYDRATE, "payload": {}, "router_data": 7}}),
]


def new_lines(stack: Stack, before: int) -> list[str]:
    """New lines of the log, without those of earlier tests' pages for deleted jobs. No frame here names a job."""
    lines = stack.children["web"].said()[before:].splitlines()
    return [line for line in lines if text.NO_SUCH_JOB not in line and text.NO_SUCH_TEMPLATE not in line]


async def still_served(opened: Tab) -> None:
    await opened.updates()
    await opened.send(f"{SESSION_STATE}.enter")
    assert await opened.update(PATIENCE_S) is not None


@pytest.mark.parametrize("kind", FRAMES)
async def test_a_frame_that_no_page_sends_is_a_short_line_of_the_log(
    signed_in: Visitor, stack: Stack, kind: str
) -> None:
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        before = len(stack.children["web"].said())
        for frame in FRAMES[kind]:
            await opened.socket.send_str(frame)
        await still_served(opened)
        lines = new_lines(stack, before)
    assert [line for line in lines if "Traceback" in line or "reference=" in line or len(line) > LINE_CHARS] == []
    assert len(lines) <= LINES_AT_MOST * len(FRAMES[kind])


@pytest.mark.parametrize("frame", ENDING)
async def test_what_is_no_message_of_a_page_at_all_ends_the_socket_and_no_more(
    signed_in: Visitor, stack: Stack, frame: str
) -> None:
    for _ in range(TRIES):
        async with tab(signed_in, "/nowhere") as opened:
            await opened.settled()
            before = len(stack.children["web"].said())
            await opened.socket.send_str(frame)
            assert await opened.update(PATIENCE_S) is None
            assert opened.ended or opened.socket.closed
        lines = new_lines(stack, before)
        if not lines:
            break
    assert lines == []


@pytest.mark.parametrize("said", BEGINNINGS)
async def test_a_page_that_begins_with_nonsense_is_not_connected(signed_in: Visitor, stack: Stack, said: str) -> None:
    before = len(stack.children["web"].said())
    address = f"{stack.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
    headers = {"Cookie": signed_in.header, "Origin": stack.url}
    async with aiohttp.ClientSession() as client, client.ws_connect(address, headers=headers) as socket:
        assert (await socket.receive_str())[0] == "0"
        await socket.send_str(f"40/_event,{said}")
        assert (await socket.receive_str()).startswith("44/_event,")
    assert not any("Traceback" in line for line in new_lines(stack, before))
