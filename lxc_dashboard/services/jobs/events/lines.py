"""A job's events for pages and the stream, and the numbered lines of its log as a terminal would show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import msgspec

from lxc_dashboard.db.models import EventType
from lxc_dashboard.db.repositories.events import StoredEvent

STREAM_PREFIX = "creation:"


class ProgressEvent(msgspec.Struct, frozen=True, gc=False):
    """One event, or a chunk of ``lines`` log lines. ``seq``: the number of the event, or of the first line.

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
        """The part after number ``seq``: the whole event, the rest of a chunk, or None."""
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


LINE_CHARS: Final = 8000
# As much as one event holds at most.
LINES_A_TURN: Final = 500
CHARS_A_TURN: Final = 64 * 1024
_CUT: Final = " …"

# CSI, OSC, other strings, then any escape of two or three characters.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-Z\\-~])")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_STRAY_ESCAPE = re.compile(r"\x1b(?!\[[0-9;:]*m)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]")
_PLAIN = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]*")


class Event(Protocol):
    """What a row of the database and an event of the stream have in common."""

    @property
    def seq(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def script(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def message(self) -> str: ...
    @property
    def at(self) -> datetime: ...


E = TypeVar("E", bound=Event)
# Returns the text of a code with its parameters. Services have no texts: callers that show or search a log pass this.
Words = Callable[[str, Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class LogLine:
    """``type`` is a progress event's: step, log, warning, error or complete. ``text`` may hold colours (SGR), no other escape.

    A line with a ``code`` has no text yet.
    """

    seq: int
    at: datetime
    type: str
    phase: str
    script: str
    text: str
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of neighbouring lines of one phase."""

    phase: str
    first: int
    last: int


def in_turns(events: Iterable[E]) -> Iterator[list[E]]:
    """``events`` in groups of about the largest size of one event, so that other tasks can run in between."""
    group: list[E] = []
    lines = chars = 0
    for event in events:
        lines, chars = lines + event.lines, chars + len(event.message)
        if group and (lines > LINES_A_TURN or chars > CHARS_A_TURN):
            yield group
            group, lines, chars = [], event.lines, len(event.message)
        group.append(event)
    if group:
        yield group


def lines_of(events: Iterable[Event], first: int, last: int, *, chars: int = LINE_CHARS) -> tuple[LogLine, ...]:
    """The lines of ``events`` with the numbers ``first`` to ``last``, each cut to ``chars``."""
    found: list[LogLine] = []
    for event in events:
        wanted = range(max(event.seq, first), min(event.seq + event.lines - 1, last) + 1)
        texts = _split(event.message, event.lines) if wanted else ()
        place = (event.at, str(event.type), str(event.step), event.script)
        told = (event.code, event.params)
        found += (LogLine(seq, *place, shown(texts[seq - event.seq], chars), *told) for seq in wanted)
    return tuple(found)


def lines_with(event: Event, text: str, first: int, last: int, words: Words) -> list[int]:
    """The numbers, from ``first`` to ``last``, of the lines of ``event`` that contain ``text`` in any case."""
    wanted = range(max(event.seq, first), min(event.seq + event.lines - 1, last) + 1)
    message = words(event.code, event.params) if event.code else event.message
    texts = _split(message, event.lines) if wanted else ()
    low = text.lower()
    return [seq for seq in wanted if low in plain(shown(texts[seq - event.seq])).lower()]


def spans_of(events: Iterable[Event]) -> tuple[Span, ...]:
    """The phases of ``events``, in order, with the numbers of their lines."""
    found: list[Span] = []
    for event in events:
        last = event.seq + event.lines - 1
        phase = str(event.step)
        if found and found[-1].phase == phase and found[-1].last + 1 == event.seq:
            found[-1] = Span(phase, found[-1].first, last)
        else:
            found.append(Span(phase, event.seq, last))
    return tuple(found)


def shown(line: str, chars: int = LINE_CHARS) -> str:
    """``line`` as a terminal shows it: the part after the last carriage return, with colours as its only escapes."""
    if _PLAIN.fullmatch(line):
        return line if len(line) <= chars else line[:chars] + _CUT
    clean = _ESCAPE.sub(_kept, line).rstrip("\r\n").rpartition("\r")[2]
    clean = _CONTROL.sub("", _overtyped(clean))
    if len(clean) > chars:
        clean = clean[:chars] + _CUT
    return _STRAY_ESCAPE.sub("", clean)


def plain(text: str) -> str:
    """A shown line without its colours."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def _kept(escape: re.Match[str]) -> str:
    return escape[0] if _COLOUR.fullmatch(escape[0]) else ""


def _overtyped(text: str) -> str:
    """Apply the backspaces in one pass, because a script may print nothing else."""
    if "\x08" not in text:
        return text
    left: list[str] = []
    for character in text:
        if character == "\x08" and left and left[-1] not in "\x08\x1b":
            left.pop()
        else:
            left.append(character)
    return "".join(left)


def _split(message: str, lines: int) -> Sequence[str]:
    """Split into exactly ``lines`` texts, because the numbers must fit any message."""
    if lines == 1:
        return [message.replace("\n", " ")]
    parts = message.split("\n", lines - 1)
    return (parts + [""] * lines)[:lines]
