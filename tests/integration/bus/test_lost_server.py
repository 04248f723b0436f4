"""The bus when its server dies, and a reader that is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lxc_dashboard import bus as bus_module
from lxc_dashboard.bus import BEGINNING, Bus
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.errors import ServiceUnavailableError


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


class TestLostServer:
    @pytest.fixture
    async def embedded(self, tmp_path: Path) -> AsyncIterator[EmbeddedServices]:
        async with EmbeddedServices(tmp_path / "data") as embedded:
            yield embedded

    @staticmethod
    def kill(embedded: EmbeddedServices) -> None:
        valkey = embedded._valkey
        assert valkey is not None
        assert valkey.process is not None
        valkey.process.kill()
        valkey.process.wait()

    @staticmethod
    async def are_waiting(bus: Bus) -> bool:
        """Whether the server has received both requests: an open connection may not have sent its own yet."""
        clients = await bus._client.client_list()
        blocked = any(client["cmd"] == "xread" and "b" in client["flags"] for client in clients)
        return blocked and any(client["sub"] == "1" for client in clients)

    async def test_a_dead_server_is_named_within_seconds(self, embedded: EmbeddedServices) -> None:
        bus = Bus(embedded.redis_url)
        await bus.set("b", b"x", ttl_s=60)
        self.kill(embedded)
        async with asyncio.timeout(10):
            with pytest.raises(ServiceUnavailableError) as caught:
                await bus.get("b")
        password = embedded.redis_url.split(":")[2].partition("@")[0]
        assert password not in str(caught.value)
        await bus.close()

    async def test_calls_go_on_when_it_is_back(
        self, embedded: EmbeddedServices, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The server's start may take long on a slow machine.
        monkeypatch.setattr(bus_module, "RETRY_WITHIN_S", 60.0)
        monkeypatch.setattr(bus_module, "ATTEMPTS", 1000)
        bus = Bus(embedded.redis_url)
        await asyncio.gather(*(bus.ping() for _ in range(20)))
        self.kill(embedded)
        calls = [asyncio.create_task(bus.acquire_lease("l", "me", 60)) for _ in range(20)]
        await embedded.revive()
        assert all(await asyncio.gather(*calls))
        assert await bus.hit("r", 1, 60) == 0
        await bus.close()

    async def test_a_blocked_reader_and_a_listener_are_told(self, embedded: EmbeddedServices) -> None:
        bus = Bus(embedded.redis_url)
        heard: list[Exception] = []

        async def read() -> None:
            try:
                await bus.read_after("s", BEGINNING, block_ms=60_000)
            except ServiceUnavailableError as error:
                heard.append(error)

        async def listen() -> None:
            async with bus.listen("c") as messages:
                try:
                    await anext(messages)
                except ServiceUnavailableError as error:
                    heard.append(error)

        tasks = [asyncio.create_task(read()), asyncio.create_task(listen())]
        async with asyncio.timeout(60):
            while not await self.are_waiting(bus):
                await asyncio.sleep(0.005)
        self.kill(embedded)
        await until(lambda: len(heard) == 2)
        await asyncio.gather(*tasks)
        await bus.close()


async def test_a_cancelled_reader_leaves_the_connection_usable(bus: Bus) -> None:
    for _ in range(5):
        waiting = asyncio.create_task(bus.read_after("s", BEGINNING, block_ms=60_000))
        await asyncio.sleep(0)
        await bus.ping()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    await bus.set("b", b"x", ttl_s=60)
    assert await bus.get("b") == b"x"
