"""The packets that wait for a page to read them, bounded in memory."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

UNSENT_BYTES: Final = 4 << 20


class UnsentQueue(asyncio.Queue[Any]):
    """The queue of one socket, for ``create_queue`` of Engine.IO, which has no bound of its own.

    A put over ``UNSENT_BYTES`` stores Engine.IO's end mark in place of its packet: a page that missed an update must load again.
    Later packets are dropped. One packet alone may be larger than the bound.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0
        self._is_over = False

    async def put(self, item: Any) -> None:
        if self._is_over:
            return
        if item is not None and self._bytes > UNSENT_BYTES:
            log.warning("page does not read its updates", unsent_bytes=self._bytes)
            self._is_over, item = True, None
        await super().put(item)

    def _put(self, item: Any) -> None:
        self._bytes += _size(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    """Of a packet, as characters or bytes; 0 for the end mark and for packets without text."""
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, (str, bytes)) else 0
