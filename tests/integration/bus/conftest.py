"""The bus over this test's own Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lxc_dashboard.bus import Bus


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    await bus.close()
