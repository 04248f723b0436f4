"""A progress event as pages and the stream have it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from lxc_dashboard.db.models import EventType
from lxc_dashboard.db.repositories.events import StoredEvent

STREAM_PREFIX = "creation:"


class ProgressEvent(msgspec.Struct, frozen=True, gc=False):
    """One event, or a chunk of ``lines`` log lines, of which ``seq`` is the first one's number.

    ``message`` of a chunk holds its lines, separated by newlines. An event with a ``code`` has no message.
    """

    seq: int
    type: EventType
    step: str
    percent: int
    message: str
    at: datetime
    lines: int = 1
    script: str = ""
    script_index: int = 0
    script_total: int = 0
    code: str = ""
    params: Mapping[str, Any] = {}

    @property
    def last(self) -> int:
        """The number of its last line."""
        return self.seq + self.lines - 1

    def after(self, seq: int) -> ProgressEvent | None:
        """What of it follows number ``seq``: all, the rest of a chunk, or nothing."""
        if seq < self.seq:
            return self
        if seq >= self.last:
            return None
        skipped = seq + 1 - self.seq
        rest = self.message.split("\n", skipped)[-1]
        return msgspec.structs.replace(self, seq=seq + 1, lines=self.lines - skipped, message=rest)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ProgressEvent)


def of_row(row: StoredEvent) -> ProgressEvent:
    return ProgressEvent(
        seq=row.seq,
        type=EventType(row.type),
        step=row.step,
        percent=row.percent,
        message=row.message,
        at=row.at,
        lines=row.lines,
        script=row.script,
        script_index=row.script_index,
        script_total=row.script_total,
        code=row.code,
        params=row.params,
    )


def encode(event: ProgressEvent) -> bytes:
    return _ENCODER.encode(event)


def decode(data: bytes) -> ProgressEvent:
    """Raises ``msgspec.DecodeError``."""
    return _DECODER.decode(data)


def stream_of(job_id: object) -> str:
    return f"{STREAM_PREFIX}{job_id}"
