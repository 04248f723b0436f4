"""Messages and bodies that arrive faster, slower or larger than the product's own pages send them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Message, Receive

from lxc_dashboard.api.middleware import limits
from lxc_dashboard.api.middleware.limits import Allowance, Allowances, Bucket, limit_body_time, limit_rate, limit_unread


def told(*messages: Message) -> Receive:
    """Receive these messages, then wait forever."""
    waiting: Iterator[Message] = iter(messages)

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def text(content: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": content}


def test_a_bucket_lets_a_burst_through_and_then_only_what_flows_in() -> None:
    now = 100.0
    bucket = Bucket(10, 2, clock=lambda: now)
    assert bucket.spend(10) == 0
    assert bucket.spend(4) == 2
    now += 2
    assert bucket.spend(2) == 1
    now += 1000
    assert bucket.spend(10) == 0
    assert bucket.spend(1) > 0


def stopped_allowance() -> Allowance:
    """An allowance whose clock stands still, so that a slow test does not refill it."""
    allowance = Allowance()
    for bucket in (allowance._bytes, allowance._messages):
        bucket._clock = lambda: 0.0
        bucket._at = 0.0
    return allowance


async def test_messages_wait_where_they_come_too_fast() -> None:
    allowance = stopped_allowance()
    assert allowance.spend(limits.BURST_BYTES) == 0
    receive = limit_rate(told(text("4" * (400 << 10))), allowance, max_bytes=1 << 20, binary=False)
    began = asyncio.get_running_loop().time()
    assert (await receive())["text"]
    assert asyncio.get_running_loop().time() - began > 0.08


def test_many_small_messages_count_too() -> None:
    allowance = stopped_allowance()
    assert all(allowance.spend(1) == 0 for _ in range(limits.BURST_MESSAGES))
    assert [allowance.spend(1) for _ in range(50)][-1] > 0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "websocket.receive", "bytes": b"x"}, 1003),
        (text("4" * 11), 1009),
        *((text(no_message), 1003) for no_message in ("", "hello", "7", "b4", "\u0664")),
    ],
)
async def test_what_no_page_sends_ends_the_socket(message: Message, code: int) -> None:
    receive = limit_rate(told(message), Allowance(), max_bytes=10, binary=False)
    assert await receive() == {"type": "websocket.disconnect", "code": code}


async def test_a_console_may_send_bytes() -> None:
    message = {"type": "websocket.receive", "bytes": b"x", "text": None}
    assert await limit_rate(told(message), Allowance(), max_bytes=10, binary=True)() == message


async def test_a_page_that_says_nothing_for_long_ends_its_socket_and_a_console_does_not() -> None:
    page = limit_rate(told(text("3")), Allowance(), max_bytes=10, binary=False, silent_s=0.01)
    assert await page() == text("3")
    assert await page() == {"type": "websocket.disconnect", "code": limits.GOING_AWAY}
    console = asyncio.ensure_future(limit_rate(told(), Allowance(), max_bytes=10, binary=True, silent_s=0.01)())
    await asyncio.wait({console}, timeout=0.1)
    assert not console.done()
    console.cancel()


def test_a_new_socket_of_the_session_begins_no_new_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ALLOWANCES_KEPT", 2)
    allowances, one, two, three = Allowances(), uuid4(), uuid4(), uuid4()
    first = allowances.of(one)
    allowances.of(two)
    assert allowances.of(one) is first
    allowances.of(three)
    assert allowances.of(one) is first
    assert len(allowances._known) == 2


async def test_a_body_that_does_not_come_is_given_up() -> None:
    begun = {"type": "http.request", "body": b"a", "more_body": True}
    receive = limit_body_time(told(begun), silent_s=0.05)
    assert await receive() == begun
    assert await receive() == {"type": "http.disconnect"}


async def test_a_body_that_comes_byte_by_byte_is_given_up() -> None:
    async def drip() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    receive = limit_body_time(drip, silent_s=30, whole_s=0.1)
    async with asyncio.timeout(60):
        last = await receive()
        while last["type"] == "http.request":
            last = await receive()
    assert last == {"type": "http.disconnect"}


async def test_after_its_body_a_request_may_take_its_time() -> None:
    receive = limit_body_time(
        told({"type": "http.request", "body": b"", "more_body": False}), silent_s=0.05, whole_s=0.05
    )
    await receive()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await receive()


async def test_a_socket_whose_browser_does_not_read_ends() -> None:
    async def send(_: Message) -> None:
        await asyncio.Event().wait()

    receive, send_in_time = limit_unread(told(text("42")), send, within_s=0.05)
    assert await receive() == text("42")
    receiving = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    with pytest.raises(BrokenPipeError):
        await send_in_time({"type": "websocket.send", "text": "42"})
    ended = {"type": "websocket.disconnect", "code": limits.GOING_AWAY}
    assert await receiving == ended
    assert await receive() == ended
    async with asyncio.timeout(0.04):
        with pytest.raises(BrokenPipeError):
            await send_in_time({"type": "websocket.close"})


async def test_a_socket_whose_browser_reads_stays() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    receive, send_in_time = limit_unread(told(text("42")), send, within_s=0.05)
    for _ in range(3):
        await send_in_time(text("42"))
        await asyncio.sleep(0.03)
    assert await receive() == text("42")
    assert len(sent) == 3
