"""Faults of the connection and of the node, set by tests. All times are real seconds."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(slots=True)
class WriteFault:
    """Cut the connection of a write whose path ends with ``suffix``, ``before`` or after it takes effect."""

    suffix: str
    before: bool
    method: str = "POST"
    times: int = 1


@dataclass(slots=True)
class Faults:
    """The faults that are on.

    - ``drop_share``: this share of the requests loses its connection. ``lost`` counts them.
    - ``mute``: requests get no answer. ``unanswered`` counts them.
    - ``filesystem_down``: every call fails, as while pmxcfs restarts.
    - ``daemons_down``: nodes whose pvedaemon does not run.
    """

    latency_s: float = 0.0
    drop_share: float = 0.0
    mute: bool = False
    stale_stats: bool = False
    filesystem_down: bool = False
    daemons_down: set[str] = field(default_factory=set)
    unanswered: int = 0
    lost: int = 0
    writes: list[WriteFault] = field(default_factory=list)
    hanging: list[str] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)
    unmuted: asyncio.Event = field(default_factory=asyncio.Event)

    def clear(self) -> None:
        """End every fault. Requests without an answer lose their connection."""
        self.latency_s = self.drop_share = 0.0
        self.stale_stats = self.filesystem_down = False
        self.writes.clear()
        self.hanging.clear()
        self.daemons_down.clear()
        self.unmute()

    def unmute(self) -> None:
        self.mute = False
        self.unmuted.set()
        self.unmuted = asyncio.Event()

    async def drops_request(self, request: web.Request) -> bool:
        """Wait as the faults demand. True: cut the connection before the request takes effect."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if self.mute:
            self.unanswered += 1
            await self.unmuted.wait()
            return True
        if self.drop_share and self.rng.random() < self.drop_share:
            self.lost += 1
            return True
        return self._use_write_fault(request, before=True)

    def drops_answer(self, request: web.Request) -> bool:
        """True: the request took effect, but cut the connection instead of answering."""
        return self._use_write_fault(request, before=False)

    def hangs_task(self, ttype: str) -> bool:
        """Whether this task must hang. Counts as used."""
        if ttype in self.hanging:
            self.hanging.remove(ttype)
            return True
        return False

    def _use_write_fault(self, request: web.Request, *, before: bool) -> bool:
        for fault in self.writes:
            if fault.before == before and fault.method == request.method and request.path.endswith(fault.suffix):
                fault.times -= 1
                if fault.times <= 0:
                    self.writes.remove(fault)
                return True
        return False
