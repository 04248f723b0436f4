"""Work for a client that may disconnect: it succeeds, fails, or is cancelled with its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from lxc_dashboard.api.request import until_disconnect


def request(*messages: str) -> Request:
    """A request whose server sends these messages, then nothing."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return {"type": left.pop(0)}

    return Request({"type": "http", "headers": []}, receive)


async def test_what_the_work_comes_to_is_handed_on() -> None:
    async def work() -> int:
        return 7

    assert await until_disconnect(request("http.request"), work()) == 7


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await until_disconnect(request("http.request"), work())


async def test_the_work_is_cancelled_when_its_client_leaves() -> None:
    ended = asyncio.Event()

    left = request("http.request", "http.disconnect")
    assert await until_disconnect(left, endless(ended.set)) is None
    assert ended.is_set()


async def test_the_work_is_cancelled_with_the_request() -> None:
    ended = asyncio.Event()
    asking = asyncio.create_task(until_disconnect(request("http.request"), endless(ended.set)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert ended.is_set()


def endless(at_the_end: Callable[[], None]) -> Coroutine[Any, Any, int]:
    async def work() -> int:
        try:
            await asyncio.Event().wait()
            return 0
        finally:
            at_the_end()

    return work()
