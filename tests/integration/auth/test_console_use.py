"""An open console over a real session: input keeps the session open, the page's own messages do not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from redis.asyncio import Redis

from lxc_dashboard.api import console
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from tests.integration.auth.conftest import Begin

SOON_OVER_S = 100
PATIENCE_S = 60


class Browser:
    """The browser's end of the websocket."""

    path_params: ClassVar = {"vmid": 101}

    def __init__(self) -> None:
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        return await self.says.get()

    def typed(self, data: bytes) -> None:
        self.says.put_nowait({"type": console.RECEIVE, "bytes": data})


class Terminal:
    """The guest's end, which sends nothing."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def type(self, data: bytes) -> None:
        self.got.put_nowait(data)


async def test_typing_is_a_use_and_an_open_console_is_none(
    rt: Runtime, begin: Begin, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "CHECK_SESSION_EVERY_S", 0.02)
    looked = asyncio.Semaphore(0)
    is_open = sessions.is_open

    async def looking(runtime: Runtime, key: str) -> bool:
        looked.release()
        return await is_open(runtime, key)

    monkeypatch.setattr(console, "sessions", SimpleNamespace(is_open=looking, use=sessions.use))
    session, _ = await begin()
    browser, terminal, key = Browser(), Terminal(), sessions._identity_key(session.key)
    async with Redis.from_url(redis_url) as redis, asyncio.timeout(PATIENCE_S):
        await redis.expire(key, SOON_OVER_S)
        conversing = asyncio.create_task(console._run(cast("Any", browser), cast("Any", terminal), rt, session))
        browser.typed(b"\x1b[24;80R")
        assert await terminal.got.get() == b"\x1b[24;80R"
        for _ in range(3):
            await looked.acquire()
        assert await redis.ttl(key) <= SOON_OVER_S
        browser.typed(b"l")
        while await redis.ttl(key) <= SOON_OVER_S:
            await looked.acquire()
        assert await terminal.got.get() == b"l"
        browser.says.put_nowait({"type": "websocket.disconnect"})
        await conversing
