"""Viewers of the list without a browser: websockets that note when a patch arrives."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from lxc_dashboard import routes
from lxc_dashboard.state.containers.feed import FeedState
from lxc_dashboard.state.jobs.running import RunningState
from tests.integration.web.conftest import Tab, Visitor, has_loaded

# A patch begins with its number, so only the beginning of a frame is searched.
PATCH = re.compile(rf'"{re.escape(FeedState.get_full_name())}".{{0,60}}?"v":\s*(\d+)')
BEGINNING = 400
OPENING_AT_ONCE = 20


@dataclass
class Viewer:
    """``came``: the time of each patch in epoch seconds, by its number. ``received``: bytes of all frames."""

    tab: Tab
    came: dict[int, float] = field(default_factory=dict)
    received: int = 0
    largest: int = 0

    async def listen(self) -> None:
        """Note patches and bytes until the websocket closes."""
        async for message in self.tab.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            now, text = time.time(), message.data
            if text == "2":
                await self.tab.socket.send_str("3")
            self.received += len(text)
            found = PATCH.search(text, 0, BEGINNING)
            if found:
                self.came[int(found[1])] = now
                self.largest = max(self.largest, len(text))

    async def watch(self) -> None:
        """Send the events that the list and its frame send at first."""
        await self.tab.until(has_loaded)
        for state in (RunningState, FeedState):
            await self.tab.send(f"{state.get_full_name()}.watch", {"v": 0} if state is FeedState else None)


@asynccontextmanager
async def viewers(visitor: Visitor, count: int) -> AsyncIterator[list[Viewer]]:
    """``count`` open lists of one session, all watching."""
    address = f"{visitor.stack.url}/_event/?EIO=4&transport=websocket&token="
    headers = {"Cookie": visitor.header, "Origin": visitor.stack.url}
    turn = asyncio.Semaphore(OPENING_AT_ONCE)
    async with AsyncExitStack() as ending:
        client = await ending.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        async def opened() -> Viewer:
            token = str(uuid.uuid4())
            async with turn:
                socket = await client.ws_connect(f"{address}{token}", headers=headers, max_msg_size=0)
                ending.push_async_callback(socket.close)
                viewer = Viewer(Tab(socket, token, routes.CONTAINERS))
                await viewer.tab.open()
                await viewer.watch()
            return viewer

        watching = await asyncio.gather(*(opened() for _ in range(count)))
        listening = [asyncio.create_task(viewer.listen()) for viewer in watching]
        try:
            yield list(watching)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
