"""A viewer of the feed that works like the page."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.monitor.feed import FeedHub
from lxc_dashboard.services.monitor.replica import changed_rows
from lxc_dashboard.services.monitor.rows import rows_of
from lxc_dashboard.state.process import feed_error

PATIENCE_S = 60


def listed(columns: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Convert a snapshot's columns to rows by vmid, as the page does."""
    return {str(vmid): row for vmid, row in rows_of(columns).items()}


@dataclass
class Seen:
    """A viewer that merges snapshots and patches as the page does."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    v: int = 0
    missed: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, body: bytes) -> None:
        snapshot = json.loads(gzip.decompress(body))
        self.rows, self.meta, self.v = listed(snapshot["columns"]), snapshot["meta"], snapshot["v"]

    async def patch(self, _key: str, patch: dict[str, Any]) -> None:
        if patch["v"] <= self.v:
            return
        if self.v and patch["prev"] != self.v:
            self.missed.append(patch["prev"])
        for vmid, fields in changed_rows(patch).items():
            self.rows[str(vmid)] = {**self.rows.get(str(vmid), {}), **fields}
        for vmid in patch["gone"]:
            self.rows.pop(str(vmid), None)
        self.meta.update(patch["meta"] or {})
        self.v = patch["v"]
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def hub_of(rt: Runtime, seen: Seen) -> AsyncIterator[FeedHub]:
    there: set[str] = {"socket"}
    hub = FeedHub(rt, seen.patch, there.__contains__, feed_error)
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def looking(hub: FeedHub, session: Session, seen: Seen) -> None:
    """Watch until the viewer has rows: a snapshot waits at most 5 s and may be empty."""
    hub.watch(session, "socket")
    seen.start(await hub.snapshot(session))
    await seen.until(lambda: bool(seen.rows))
