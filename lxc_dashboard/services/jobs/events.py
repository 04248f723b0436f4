"""A progress event as pages and the stream have it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from lxc_dashboard.db.models import EventType
from lxc_dashboard.db.repositories.events import StoredEvent
from lxc_dashboard.db.repositories.tickets import SIGN_IN_ENDED

STREAM_PREFIX = "creation:"
# What a run says last before it stands still: the time until its next word is nobody's work.
PAUSED = "paused until its user lets it go on"
TURN = "before its turn comes"
_STANDSTILLS = (PAUSED, SIGN_IN_ENDED, TURN)


class ProgressEvent(msgspec.Struct, frozen=True, gc=False):
    """One event, or a chunk of ``lines`` log lines, of which ``seq`` is the first one's number.

    ``message`` of a chunk holds its lines parted by newlines.
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
    )


def stands_still(message: str) -> bool:
    """Whether the run does nothing after it said this."""
    return message.endswith(_STANDSTILLS)


def encode(event: ProgressEvent) -> bytes:
    return _ENCODER.encode(event)


def decode(data: bytes) -> ProgressEvent:
    """Raises ``msgspec.DecodeError``."""
    return _DECODER.decode(data)


def stream_of(job_id: object) -> str:
    return f"{STREAM_PREFIX}{job_id}"
