"""The outbox passes entries on in order, all waiting ones in one call. It drops them while Redis is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import pytest

from lxc_dashboard.bus import Bus, outbox
from lxc_dashboard.bus.outbox import Outbox
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.settings import Timing


class Calls:
    """A bus that records its calls. ``goes_on`` holds them back, ``away`` makes them fail."""

    def __init__(self) -> None:
        self.calls: list[dict[str, list[bytes]]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.away = False

    async def publish_all(self, entries: Mapping[str, Sequence[bytes]], **_: Any) -> str:
        self.calls.append({stream: list(several) for stream, several in entries.items()})
        await self.goes_on.wait()
        if self.away:
            raise ServiceUnavailableError("Redis does not answer")
        return "1-0"


@pytest.fixture
def bus() -> Calls:
    return Calls()


@pytest.fixture
async def box(bus: Calls) -> AsyncIterator[Outbox]:
    kept = Outbox(cast("Bus", bus), Timing(publish_again_after_s=0.05))
    yield kept
    await kept.close()


async def test_all_that_waits_goes_in_one_call(box: Outbox, bus: Calls) -> None:
    box.put("a", [b"1"])
    box.put("b", [b"2", b"3"])
    box.put("a", [b"4"])
    assert await box.sent(10)
    assert bus.calls == [{"a": [b"1", b"4"], "b": [b"2", b"3"]}]


async def test_what_comes_during_a_call_goes_with_the_next(box: Outbox, bus: Calls) -> None:
    bus.goes_on.clear()
    box.put("a", [b"1"])
    await asyncio.sleep(0)
    for number in (b"2", b"3"):
        box.put("a", [number])
    bus.goes_on.set()
    assert await box.sent(10)
    assert bus.calls == [{"a": [b"1"]}, {"a": [b"2", b"3"]}]


async def test_much_goes_in_parts_in_order(box: Outbox, bus: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE_BYTES", 4)
    box.put("a", [b"11", b"22", b"33"])
    box.put("b", [b"44"])
    assert await box.sent(10)
    assert bus.calls == [{"a": [b"11", b"22"]}, {"a": [b"33"], "b": [b"44"]}]


async def test_it_waits_for_what_is_on_its_way(box: Outbox, bus: Calls) -> None:
    bus.goes_on.clear()
    box.put("a", [b"1"])
    await asyncio.sleep(0)
    assert bus.calls
    assert not await box.sent(0.01)
    bus.goes_on.set()
    assert await box.sent(10)


async def test_where_redis_is_away_it_is_dropped_and_later_goes_on(box: Outbox, bus: Calls) -> None:
    bus.away = True
    box.put("a", [b"1"])
    assert await box.sent(10)
    bus.away = False
    box.put("a", [b"2"])
    assert await box.sent(10)
    assert bus.calls == [{"a": [b"1"]}, {"a": [b"2"]}]


async def test_while_redis_is_away_the_newest_are_kept(
    box: Outbox, bus: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 2)
    bus.away = True
    box.put("a", [b"1"])
    assert await box.sent(10)
    box.put("a", [b"2", b"3"])
    box.put("a", [b"4"])
    bus.away = False
    assert await box.sent(10)
    assert bus.calls[1:] == [{"a": [b"3", b"4"]}]


async def test_while_redis_is_away_no_more_is_kept_than_memory_allows(
    box: Outbox, bus: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG_BYTES", 5)
    bus.away = True
    box.put("a", [b"1"])
    assert await box.sent(10)
    box.put("a", [b"222", b"33"])
    box.put("a", [b"44"])
    box.put("b", [b"5555555"])
    bus.away = False
    assert await box.sent(10)
    assert bus.calls[1:] == [{"a": [b"33", b"44"], "b": [b"5555555"]}]


async def test_nothing_to_send_is_sent(box: Outbox, bus: Calls) -> None:
    box.put("a", [])
    assert await box.sent(0)
    assert bus.calls == []
