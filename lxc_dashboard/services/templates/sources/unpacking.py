"""Unpacks an untrusted archive inside one folder: plain files and folders, within limits.

A sign of a malicious or broken archive (a path that leads out, a duplicate name, an encrypted or broken member, exceeded
limits) refuses all of it, with the member's name. A member that is only unsupported (a link, a device, a name that no folder
can hold) is left out together with its template.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.format.layout import folded
from lxc_dashboard.services.templates.format.tree import MAX_NAME_BYTES, plain_text

MAX_ARCHIVE_BYTES: Final = 64 << 20
MAX_UNPACKED_BYTES: Final = 128 << 20
MAX_MEMBERS: Final = 50_000
MAX_DEPTH: Final = 20
MAX_PATH_BYTES: Final = 2_000
MAX_SECONDS: Final = 120.0
# Text compresses to a tenth, rarely to a fiftieth. Below the second limit a bomb does no harm.
MAX_RATIO: Final = 200
RATIO_COUNTS_FROM_BYTES: Final = 16 << 20
SHOWN_CHARS: Final = 200

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
# Metadata about every member, written by macOS.
_SKIPPED_FOLDER = "__MACOSX"


class Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """``name`` and ``size`` as the archive has them; ``read(limit)`` returns at most ``limit`` bytes of the content."""

    name: str
    kind: Kind
    size: int
    executable: bool
    read: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path below the folder that was not made, and why."""

    path: str
    why: str


def shown(name: str) -> str:
    """A member's name for messages."""
    plain = plain_text(name)
    return plain if len(plain) <= SHOWN_CHARS else plain[:SHOWN_CHARS] + "..."


def check_ratio(name: str, packed: int, unpacked: int) -> None:
    """Raises ``TemplateError`` (file ``name``) for a compression ratio that only an archive bomb has."""
    if unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > MAX_RATIO * packed:
        raise TemplateError(shown(name), 0, f"grows more than {MAX_RATIO} times when it is unpacked")


def check_unpacked(name: str, unpacked: int) -> None:
    """Raises ``TemplateError`` (file ``name``) above the limit for unpacked data."""
    if unpacked > MAX_UNPACKED_BYTES:
        raise TemplateError(shown(name), 0, f"brings the archive above {MAX_UNPACKED_BYTES:,} bytes unpacked")


@dataclass(slots=True)
class Unpacking:
    """Unpacks one archive into the empty ``folder``. ``left_out`` grows meanwhile."""

    folder: Path
    left_out: list[LeftOut] = field(default_factory=list)
    _made: dict[str, tuple[str, Kind]] = field(default_factory=dict)
    _bytes: int = 0
    _until: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def run(self, members: Iterator[Member]) -> None:
        """Raises ``TemplateError`` with the member's name."""
        for count, member in enumerate(members, start=1):
            if count > MAX_MEMBERS:
                raise TemplateError(shown(member.name), 0, f"exceeds the limit of {MAX_MEMBERS:,} members")
            if time.monotonic() > self._until:
                raise TemplateError(shown(member.name), 0, f"was not reached within {MAX_SECONDS:.0f} s")
            self._member(member)

    def _member(self, member: Member) -> None:
        parts = _parts(member.name)
        if not parts or parts[0] == _SKIPPED_FOLDER:
            return
        path = "/".join(parts)
        why = _unfit(member, path, parts) or self._taken(member, parts)
        if why:
            self.left_out.append(LeftOut(path, why))
            return
        self._make(member, path)

    def _taken(self, member: Member, parts: list[str]) -> str:
        """Why the member conflicts with another; raises ``TemplateError`` where that is no accident."""
        for depth in range(1, len(parts) + 1):
            above, last = "/".join(parts[:depth]), depth == len(parts)
            kind = member.kind if last else Kind.FOLDER
            first, there = self._made.setdefault(folded(above), (above, kind))
            if first != above:
                return f"is equal to {shown(first)} on file systems that ignore case"
            if there is not kind:
                raise TemplateError(shown(member.name), 0, f"makes {shown(above)} both a file and a folder")
            if len(self._made) > MAX_MEMBERS:
                raise TemplateError(shown(member.name), 0, f"exceeds the limit of {MAX_MEMBERS:,} folders and files")
        return ""

    def _make(self, member: Member, path: str) -> None:
        target = self.folder / path
        if member.kind is Kind.FOLDER:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        if target.exists():
            raise TemplateError(shown(member.name), 0, "is in the archive twice")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = member.read(MAX_FILE_BYTES + 1)
        self._bytes += len(data)
        check_unpacked(member.name, self._bytes)
        if len(data) > MAX_FILE_BYTES:
            self.left_out.append(LeftOut(path, _TOO_LARGE))
            return
        with target.open("xb") as opened:
            opened.write(data)
        target.chmod(0o700 if member.executable else 0o600)


_TOO_LARGE: Final = f"is larger than the {MAX_FILE_BYTES:,} bytes that are read"


def _parts(name: str) -> list[str]:
    """The parts of a member's path. Raises ``TemplateError`` for a path that leads out of the archive or hides something."""
    if "\0" in name:
        raise TemplateError(shown(name), 0, "has a NUL byte in its name: the archive is refused")
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise TemplateError(shown(name), 0, "is an absolute path: the archive is refused")
    if ".." in re.split(r"[/\\]", name):
        raise TemplateError(shown(name), 0, "leads out of the archive, which is refused")
    return [part for part in name.split("/") if part not in {"", "."}]


def _unfit(member: Member, path: str, parts: list[str]) -> str:
    faults = {
        "is a link, and links are not read from an archive": member.kind is Kind.LINK,
        "is neither a file nor a folder": member.kind is Kind.OTHER,
        "has a name that is not plain UTF-8 text": plain_text(path) != path,
        f"has a name of more than {MAX_NAME_BYTES} bytes": any(
            len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts
        ),
        f"has a path of more than {MAX_PATH_BYTES:,} bytes": len(os.fsencode(path)) > MAX_PATH_BYTES,
        f"is more than {MAX_DEPTH} folders deep": len(parts) > MAX_DEPTH,
        _TOO_LARGE: member.size > MAX_FILE_BYTES,
    }
    return next((why for why, is_so in faults.items() if is_so), "")
