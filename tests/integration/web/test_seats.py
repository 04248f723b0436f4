"""A tab that moves to another process of the web server and back finds no old state there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from lxc_dashboard.api.middleware.limits import SILENT_PAGE_S
from lxc_dashboard.bus import Bus
from lxc_dashboard.state.socket.tabs import KEPT_S, Seats


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    await bus.close()


async def test_a_tab_that_stays_keeps_its_state(bus: Bus) -> None:
    seats = Seats(bus)
    assert [await seats.take("tab") for _ in range(3)] == [False, False, False]


async def test_a_tab_that_was_elsewhere_loses_its_state_each_time_it_moves(bus: Bus) -> None:
    one, other = Seats(bus), Seats(bus)
    assert not await one.take("tab")
    assert await other.take("tab")
    assert not await other.take("tab")
    assert await one.take("tab")


async def test_tabs_do_not_move_each_other(bus: Bus) -> None:
    one, other = Seats(bus), Seats(bus)
    assert not await one.take("tab")
    assert not await other.take("another")
    assert not await one.take("tab")


async def test_a_tab_is_remembered_some_minutes_longer_than_any_process_keeps_its_state(
    bus: Bus, redis_url: str
) -> None:
    await Seats(bus).take("tab of this test")
    redis = Redis.from_url(redis_url)
    left_s = [await redis.ttl(key) async for key in redis.scan_iter("tab:*")]
    await redis.aclose()
    assert 2 * (SILENT_PAGE_S + KEPT_S) < max(left_s) <= 600
