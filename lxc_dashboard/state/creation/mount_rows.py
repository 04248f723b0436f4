"""Mount points of the wizard: one text in the form, rows on the page. No Reflex here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.fields import MOUNTS_MAX

T = TypeVar("T")

FIELD: Final = "mounts"
# In the select of storages, the option for a folder of the node. Also the start of its path.
NODE_FOLDER: Final = "/"
DEFAULT_SIZE_GIB: Final = "8"
_CHARS: Final = 4096
_DIGITS: Final = 9
_TEXTS: Final = ("source", "path", "size_gib")
_FLAGS: Final = ("backup", "read_only")


@dataclass(frozen=True)
class MountRow:
    """Text as typed. ``source``: a storage, or the path of a folder of the node."""

    source: str = ""
    path: str = ""
    size_gib: str = DEFAULT_SIZE_GIB
    backup: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class ShownMount(MountRow):
    """``key``: the prefix of its inputs' names; ``number`` counts from 1."""

    key: str = ""
    number: int = 0
    is_bind: bool = False


def parse_rows(kept: str) -> list[MountRow]:
    """Rows from ``format_rows``, at most one more than is valid. Empty for any other text."""
    try:
        found = json.loads(kept) if kept else []
    except (ValueError, RecursionError):
        return []
    rows = found if isinstance(found, list) else []
    return [_row(row) for row in rows[: MOUNTS_MAX + 1] if isinstance(row, dict)]


def _row(values: Mapping[str, Any]) -> MountRow:
    row = MountRow()
    for part in (*_TEXTS, *_FLAGS):
        row = change_row(row, part, values[part]) if part in values else row
    return row


def format_rows(rows: Sequence[MountRow]) -> str:
    """JSON for the form and ``validate``; empty for no rows."""
    return json.dumps([asdict(row) for row in rows], separators=(",", ":")) if rows else ""


def shown_rows(kept: str) -> list[ShownMount]:
    return [
        ShownMount(**asdict(row), key=f"{FIELD}.{at}", number=at + 1, is_bind=is_bind(row))
        for at, row in enumerate(parse_rows(kept))
    ]


def is_bind(row: MountRow) -> bool:
    return row.source.startswith(NODE_FOLDER)


def change_row(row: MountRow, part: str, value: str | bool) -> MountRow:
    """Change one part: a field, or ``from`` (a storage or ``NODE_FOLDER``). Turns backup off for a bind mount."""
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


def merge_inputs(kept: str, data: Mapping[str, Any]) -> str:
    """``kept`` with the values of the submitted inputs. A browser does not send an unticked checkbox."""
    rows = []
    for at, row in enumerate(parse_rows(kept)):
        key, found = f"{FIELD}.{at}", row
        for part in ("from", *_TEXTS):
            if f"{key}.{part}" in data:
                found = change_row(found, part, str(data[f"{key}.{part}"]))
        for flag in _FLAGS:
            found = change_row(found, flag, bool(data.get(f"{key}.{flag}")))
        rows.append(found)
    return format_rows(rows)


def replace_missing(kept: str, storages: set[str], fallback: str) -> str:
    """``kept`` with ``fallback`` for each storage that is not in ``storages``."""
    rows = parse_rows(kept)
    return format_rows(
        [row if is_bind(row) or row.source in storages else replace(row, source=fallback) for row in rows]
    )


def in_words(kept: str) -> str:
    """The mount points in one line."""
    return "; ".join(_words(row) for row in parse_rows(kept))


def _words(row: MountRow) -> str:
    what = row.source if is_bind(row) else text.MOUNT_SIZED.format(size=row.size_gib, storage=row.source)
    marks = [word for flag, word in text.MOUNT_MARKS.items() if getattr(row, flag)]
    return f"{row.path or '…'}: {', '.join([what, *marks])}"


def place_of(field: str) -> str:
    """The label of a mount point, by a field such as ``mounts.0.source``. Empty for another field."""
    name, _, rest = field.partition(".")
    at = rest.partition(".")[0]
    return text.MOUNT.format(number=int(at) + 1) if name == FIELD and at.isdecimal() else ""


def sources(kept: str) -> dict[str, str]:
    """The storage or folder of each row, by the name of its field: ``mounts.0.source``."""
    return {f"{FIELD}.{at}.source": row.source for at, row in enumerate(parse_rows(kept))}


def close_gap(fields: Mapping[str, T], gone: int) -> dict[str, T]:
    """``fields`` renamed for the list without the row at ``gone``."""
    kept: dict[str, T] = {}
    for name, value in fields.items():
        field, _, rest = name.partition(".")
        at, _, part = rest.partition(".")
        if field != FIELD or not at.isdecimal() or int(at) < gone:
            kept[name] = value
        elif int(at) > gone:
            kept[f"{FIELD}.{int(at) - 1}.{part}"] = value
    return kept


def gib_on(kept: str, storage: str) -> int:
    """Total GiB of the mount points on a storage."""
    return sum(parse_whole(row.size_gib) for row in parse_rows(kept) if row.source == storage)


def parse_whole(typed: str) -> int:
    """A whole number; 0 for any other text, or too many digits."""
    return int(typed) if typed.isdecimal() and len(typed) <= _DIGITS else 0
