"""A difference as the page shows it: one block for the config, and one for each changed script, file and list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lxc_dashboard import text
from lxc_dashboard.services.templates.library.diff import BucketChange, Difference, FieldChange, FileChange
from lxc_dashboard.services.templates.library.line_diff import Line, LineKind, TextDiff

LINES_SHOWN: Final = 600
VALUE_CHARS: Final = 200
_SIGNS: Final = {LineKind.ADDED: "+", LineKind.REMOVED: "-", LineKind.SAME: " ", LineKind.GAP: "…"}


@dataclass(frozen=True)
class DiffLine:
    """``kind``: same, added, removed or gap."""

    kind: str
    sign: str
    text: str


@dataclass(frozen=True)
class DiffBlock:
    """``notes`` are sentences, ``lines`` those of a text."""

    title: str
    kind: str
    notes: list[str] = field(default_factory=list)
    lines: list[DiffLine] = field(default_factory=list)


def blocks_of(difference: Difference) -> list[DiffBlock]:
    """The blocks of a difference, with at most ``LINES_SHOWN`` lines in all."""
    room = LINES_SHOWN
    blocks = []
    for block, shown in _all(difference):
        lines = [_line(line) for line in shown.lines[:room]]
        room -= len(lines)
        cut = [text.DIFF_CUT] if shown.cut or len(lines) < len(shown.lines) else []
        blocks.append(DiffBlock(block.title, block.kind, [*block.notes, *cut], lines))
    return blocks


def _all(difference: Difference) -> Iterator[tuple[DiffBlock, TextDiff]]:
    nothing = TextDiff()
    if difference.config:
        changed = text.DIFF_KINDS["changed"]
        yield DiffBlock(text.CONFIG, changed, [_config_note(change) for change in difference.config]), nothing
    for script in difference.scripts:
        yield DiffBlock(script.name, text.DIFF_KINDS[script.kind], _notes(script.fields)), script.text
    for bucket in difference.packages:
        yield DiffBlock(f"{bucket.name}.{bucket.manager}", text.DIFF_KINDS[bucket.kind]), _packages(bucket)
    for file in difference.files:
        yield DiffBlock(file.name, text.DIFF_KINDS[file.kind], [*_notes(file.fields), *_sizes(file)]), file.text


def _config_note(change: FieldChange) -> str:
    label = text.CONFIG_FIELDS[change.field][0] if change.field in text.CONFIG_FIELDS else change.field
    return f"{label}: {_short(change.old)} → {_short(change.new)}"


def _notes(changes: Iterable[FieldChange]) -> list[str]:
    return [f"{change.field}: {_short(change.old)} → {_short(change.new)}" for change in changes]


def _sizes(file: FileChange) -> list[str]:
    changed = file.binary and file.old_sha256 != file.new_sha256
    return [text.DIFF_BINARY.format(old=file.old_size, new=file.new_size)] if changed else []


def _packages(bucket: BucketChange) -> TextDiff:
    """Added, removed and changed packages as lines."""
    removed = (Line(LineKind.REMOVED, 0, 0, spec) for spec in bucket.removed)
    added = (Line(LineKind.ADDED, 0, 0, spec) for spec in bucket.added)
    changed = (Line(LineKind.SAME, 0, 0, f"{spec} ({text.DIFF_KINDS['changed']})") for spec in bucket.changed)
    return TextDiff((*removed, *added, *changed))


def _line(line: Line) -> DiffLine:
    return DiffLine(line.kind.value, _SIGNS[line.kind], line.text)


def _short(value: str) -> str:
    shown = value if len(value) <= VALUE_CHARS else f"{value[:VALUE_CHARS]}…"
    return shown or text.NOTHING
