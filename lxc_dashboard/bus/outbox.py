"""Publishes the events of all jobs of a process to their Redis streams, together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus
    from lxc_dashboard.settings import Timing

log = structlog.get_logger(__name__)

STREAM_LIFETIME_S: Final = 48 * 3600
STREAM_ENTRIES: Final = 20_000
STREAM_BYTES: Final = 8 * 1024 * 1024
AT_ONCE_BYTES: Final = 1024 * 1024
BACKLOG: Final = 5_000
BACKLOG_BYTES: Final = 2 * 1024 * 1024


class Outbox:
    """One per process and event loop. Keeps the order of each stream.

    Drops entries while Redis is unavailable. Followers notice the gap and read the entries from PostgreSQL.
    """

    def __init__(self, bus: Bus, timing: Timing) -> None:
        self._bus = bus
        self._timing = timing
        self._waiting: dict[str, _Backlog] = {}
        self._sent_next, self._sent = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def put(self, stream: str, entries: Sequence[bytes]) -> None:
        """Send ``entries`` to ``stream``. Drops the oldest above ``BACKLOG`` or ``BACKLOG_BYTES`` of waiting entries."""
        if not entries:
            return
        self._waiting.setdefault(stream, _Backlog()).extend(entries)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all())

    async def sent(self, within_s: float) -> bool:
        """Wait until the present entries are sent or dropped. Returns False after ``within_s``."""
        if self._task is None or self._task.done():
            return True
        sent = self._sent_next if self._waiting else self._sent
        try:
            async with asyncio.timeout(within_s):
                await sent.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _send_all(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, {}
            self._sent, self._sent_next = self._sent_next, asyncio.Event()
            try:
                for portion in _split(taken):
                    await self._bus.publish_all(
                        portion, maxlen=STREAM_ENTRIES, ttl_s=STREAM_LIFETIME_S, max_bytes=STREAM_BYTES
                    )
            except ServiceUnavailableError as error:
                log.info("events not published", streams=len(taken), reason=str(error))
                self._sent.set()
                await asyncio.sleep(self._timing.publish_again_after_s)
            self._sent.set()


class _Backlog:
    """The waiting entries of one stream: the newest, and always one."""

    def __init__(self) -> None:
        self.entries: deque[bytes] = deque()
        self._size = 0

    def extend(self, entries: Sequence[bytes]) -> None:
        self.entries.extend(entries)
        self._size += sum(map(len, entries))
        while len(self.entries) > BACKLOG or (self._size > BACKLOG_BYTES and len(self.entries) > 1):
            self._size -= len(self.entries.popleft())


def _split(waiting: dict[str, _Backlog]) -> Iterator[dict[str, list[bytes]]]:
    """Split all entries into portions of about ``AT_ONCE_BYTES``."""
    portion: dict[str, list[bytes]] = {}
    size = 0
    for stream, backlog in waiting.items():
        for entry in backlog.entries:
            portion.setdefault(stream, []).append(entry)
            size += len(entry)
            if size >= AT_ONCE_BYTES:
                yield portion
                portion, size = {}, 0
    if portion:
        yield portion
