"""A feed that gets a new viewer at the moment in which it closes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.monitor import feed
from lxc_dashboard.services.monitor.feed import FeedHub

SESSION = Session(uuid4(), uuid4(), "pve", "op@pve", datetime.now(UTC))


class Lease:
    """A bus with one lease, whose release waits for ``may_end``."""

    def __init__(self) -> None:
        self.holder = ""
        self.ending, self.may_end = asyncio.Event(), asyncio.Event()

    async def acquire_lease(self, _key: str, owner: str, _ttl_s: float) -> bool:
        self.holder = self.holder or owner
        return self.holder == owner

    async def release_lease(self, _key: str, owner: str) -> bool:
        self.ending.set()
        await self.may_end.wait()
        held, self.holder = self.holder == owner, ""
        return held


async def test_who_is_closed_takes_no_lease_from_who_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    lease, polling = Lease(), asyncio.Queue[None]()

    async def poll(*_: Any) -> None:
        polling.put_nowait(None)
        await asyncio.Event().wait()

    async def follow(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(feed, "follow", follow)
    monkeypatch.setattr(FeedHub, "_poll_while_leased", poll)
    hub = FeedHub(SimpleNamespace(bus=lease), follow, lambda _: True, str)  # type: ignore[arg-type]  # only ``bus``
    key = hub.watch(SESSION, "tab")
    await polling.get()
    closing = asyncio.create_task(hub._close(hub._replicas[key]))
    await lease.ending.wait()
    hub.watch(SESSION, "tab")
    for _ in range(10):
        await asyncio.sleep(0)
    lease.may_end.set()
    await closing
    await polling.get()
    assert lease.holder == hub._owner
    await hub._close(hub._replicas[key])
