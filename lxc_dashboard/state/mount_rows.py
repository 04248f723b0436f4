"""The mount points of the wizard's form: one text in it, rows on the page. No Reflex here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.mounts import MOUNTS_MAX

T = TypeVar("T")

FIELD: Final = "mounts"
# What stands for a folder of the node where a storage is chosen: how its path begins.
NODE_FOLDER: Final = "/"
DEFAULT_SIZE_GIB: Final = "8"
_CHARS: Final = 4096
_DIGITS: Final = 9
_TEXTS: Final = ("source", "path", "size_gib")
_FLAGS: Final = ("backup", "read_only")


@dataclass(frozen=True)
class MountRow:
    """As typed. ``source``: a storage, or a folder of the node by its path."""

    source: str = ""
    path: str = ""
    size_gib: str = DEFAULT_SIZE_GIB
    backup: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class ShownMount(MountRow):
    """``key`` begins the names of its inputs; ``number`` is what a person calls it."""

    key: str = ""
    number: int = 0
    is_bind: bool = False


def rows_of(kept: str) -> list[MountRow]:
    """What ``text_of`` wrote, no more than is one too many; nothing for anything else."""
    try:
        found = json.loads(kept) if kept else []
    except (ValueError, RecursionError):
        return []
    rows = found if isinstance(found, list) else []
    return [_row(row) for row in rows[: MOUNTS_MAX + 1] if isinstance(row, dict)]


def _row(values: Mapping[str, Any]) -> MountRow:
    row = MountRow()
    for part in (*_TEXTS, *_FLAGS):
        row = changed(row, part, values[part]) if part in values else row
    return row


def text_of(rows: Sequence[MountRow]) -> str:
    """As the form keeps them, and as ``validate`` reads them. No rows are no text."""
    return json.dumps([asdict(row) for row in rows], separators=(",", ":")) if rows else ""


def shown(kept: str) -> list[ShownMount]:
    return [
        ShownMount(**asdict(row), key=f"{FIELD}.{at}", number=at + 1, is_bind=is_bind(row))
        for at, row in enumerate(rows_of(kept))
    ]


def is_bind(row: MountRow) -> bool:
    return row.source.startswith(NODE_FOLDER)


def changed(row: MountRow, part: str, value: str | bool) -> MountRow:
    """``part``: a field of ``MountRow``, or ``from``: a storage, or ``NODE_FOLDER``. A bind is in no backup."""
    values: dict[str, Any] = {}
    if part == "from":
        stays = is_bind(row) and value == NODE_FOLDER
        values = {} if stays else {"source": str(value)[:_CHARS]}
    elif part in _TEXTS:
        values = {part: str(value)[:_CHARS]}
    elif part in _FLAGS:
        values = {part: bool(value)}
    row = replace(row, **values)
    return replace(row, backup=False) if is_bind(row) else row


def taken(kept: str, data: Mapping[str, Any]) -> str:
    """``kept`` with what the inputs of a submitted form hold; a box that is not ticked is not sent."""
    rows = []
    for at, row in enumerate(rows_of(kept)):
        key, found = f"{FIELD}.{at}", row
        for part in ("from", *_TEXTS):
            if f"{key}.{part}" in data:
                found = changed(found, part, str(data[f"{key}.{part}"]))
        for flag in _FLAGS:
            found = changed(found, flag, bool(data.get(f"{key}.{flag}")))
        rows.append(found)
    return text_of(rows)


def refitted(kept: str, storages: set[str], fallback: str) -> str:
    """``kept``, with ``fallback`` for each storage that is not among ``storages``."""
    rows = rows_of(kept)
    return text_of([row if is_bind(row) or row.source in storages else replace(row, source=fallback) for row in rows])


def worded(kept: str) -> str:
    """In few words, for who looks at what was chosen."""
    return "; ".join(_words(row) for row in rows_of(kept))


def _words(row: MountRow) -> str:
    what = row.source if is_bind(row) else text.MOUNT_SIZED.format(size=row.size_gib, storage=row.source)
    marks = [word for flag, word in text.MOUNT_MARKS.items() if getattr(row, flag)]
    return f"{row.path or '…'}: {', '.join([what, *marks])}"


def place_of(field: str) -> str:
    """What a person calls the mount point of ``mounts.0.source``; nothing for another field."""
    name, _, rest = field.partition(".")
    at = rest.partition(".")[0]
    return text.MOUNT.format(number=int(at) + 1) if name == FIELD and at.isdecimal() else ""


def sources(kept: str) -> dict[str, str]:
    """What each row takes its volume or folder from, by the name of its field: ``mounts.0.source``."""
    return {f"{FIELD}.{at}.source": row.source for at, row in enumerate(rows_of(kept))}


def closed_up(fields: Mapping[str, T], gone: int) -> dict[str, T]:
    """``fields`` as they are called once the row at ``gone`` is taken out."""
    kept: dict[str, T] = {}
    for name, value in fields.items():
        field, _, rest = name.partition(".")
        at, _, part = rest.partition(".")
        if field != FIELD or not at.isdecimal() or int(at) < gone:
            kept[name] = value
        elif int(at) > gone:
            kept[f"{FIELD}.{int(at) - 1}.{part}"] = value
    return kept


def size_on(kept: str, storage: str) -> int:
    """GiB that the mount points take on a storage."""
    return sum(whole(row.size_gib) for row in rows_of(kept) if row.source == storage)


def whole(typed: str) -> int:
    """A number as it was typed; 0 for what is none, or more than anything has."""
    return int(typed) if typed.isdecimal() and len(typed) <= _DIGITS else 0
