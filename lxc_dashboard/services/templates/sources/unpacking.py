"""Unpacks an untrusted archive inside one folder: plain files and folders, within limits.

A malicious or broken archive is refused as a whole, with the member's name. Signs are a path that leads out, a duplicate
name, an encrypted or broken member, and exceeded limits. A member that is only unsupported (a link, a device, a name that no
folder can hold) is left out together with its template.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.format.layout import folded
from lxc_dashboard.services.templates.format.tree import MAX_NAME_BYTES, plain_text
from lxc_dashboard.services.templates.sources.codes import ArchiveCode

MAX_ARCHIVE_BYTES: Final = 64 << 20
MAX_UNPACKED_BYTES: Final = 128 << 20
MAX_MEMBERS: Final = 50_000
MAX_DEPTH: Final = 20
MAX_PATH_BYTES: Final = 2_000
MAX_SECONDS: Final = 120.0
# Text compresses to a tenth, rarely to a fiftieth. Below RATIO_COUNTS_FROM_BYTES, an archive bomb does no harm.
MAX_RATIO: Final = 200
RATIO_COUNTS_FROM_BYTES: Final = 16 << 20
SHOWN_CHARS: Final = 200

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
# macOS writes metadata about every member there.
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
    """A member that was not written, by its path below the folder, and why."""

    path: str
    why: Message


def shown(name: str) -> str:
    """A member's name for messages."""
    plain = plain_text(name)
    return plain if len(plain) <= SHOWN_CHARS else plain[:SHOWN_CHARS] + "..."


def check_ratio(name: str, packed: int, unpacked: int) -> None:
    """Raises ``TemplateError`` (file ``name``) for a compression ratio that only an archive bomb has."""
    if unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > MAX_RATIO * packed:
        raise TemplateError(shown(name), 0, Message.of(ArchiveCode.BOMB, times=MAX_RATIO))


def check_unpacked(name: str, unpacked: int) -> None:
    """Raises ``TemplateError`` (file ``name``) above the limit for unpacked data."""
    if unpacked > MAX_UNPACKED_BYTES:
        raise TemplateError(shown(name), 0, Message.of(ArchiveCode.ABOVE_UNPACKED, most=f"{MAX_UNPACKED_BYTES:,}"))


@dataclass(slots=True)
class Unpacking:
    """Unpacks one archive into the empty ``folder``. ``left_out`` grows while it runs."""

    folder: Path
    left_out: list[LeftOut] = field(default_factory=list)
    _made: dict[str, tuple[str, Kind]] = field(default_factory=dict)
    _bytes: int = 0
    _until: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def run(self, members: Iterator[Member]) -> None:
        """Write all members. Raises ``TemplateError`` with the member's name."""
        for count, member in enumerate(members, start=1):
            if count > MAX_MEMBERS:
                raise TemplateError(
                    shown(member.name), 0, Message.of(ArchiveCode.ABOVE_MEMBERS, most=f"{MAX_MEMBERS:,}")
                )
            if time.monotonic() > self._until:
                raise TemplateError(shown(member.name), 0, Message.of(ArchiveCode.TOO_SLOW, seconds=round(MAX_SECONDS)))
            self._member(member)

    def _member(self, member: Member) -> None:
        parts = _parts(member.name)
        if not parts or parts[0] == _SKIPPED_FOLDER:
            return
        path = "/".join(parts)
        why = next(_faults(member, path, parts), None) or self._taken(member, parts)
        if why:
            self.left_out.append(LeftOut(path, why))
            return
        self._make(member, path)

    def _taken(self, member: Member, parts: list[str]) -> Message | None:
        """Why the member conflicts with another. Raises ``TemplateError`` for a sign of a malicious archive."""
        for depth in range(1, len(parts) + 1):
            above, last = "/".join(parts[:depth]), depth == len(parts)
            kind = member.kind if last else Kind.FOLDER
            first, there = self._made.setdefault(folded(above), (above, kind))
            if first != above:
                return Message.of(ArchiveCode.SAME_FOLDED, first=shown(first))
            if there is not kind:
                raise TemplateError(shown(member.name), 0, Message.of(ArchiveCode.BOTH_KINDS, path=shown(above)))
            if len(self._made) > MAX_MEMBERS:
                raise TemplateError(shown(member.name), 0, Message.of(ArchiveCode.ABOVE_PATHS, most=f"{MAX_MEMBERS:,}"))
        return None

    def _make(self, member: Member, path: str) -> None:
        target = self.folder / path
        if member.kind is Kind.FOLDER:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        if target.exists():
            raise TemplateError(shown(member.name), 0, Message.of(ArchiveCode.TWICE))
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


_TOO_LARGE: Final = Message.of(ArchiveCode.TOO_LARGE, most=f"{MAX_FILE_BYTES:,}")


def _parts(name: str) -> list[str]:
    """The parts of a member's path. Raises ``TemplateError`` for a path that leads out of the archive, or has a NUL."""
    if "\0" in name:
        raise TemplateError(shown(name), 0, Message.of(ArchiveCode.NUL))
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise TemplateError(shown(name), 0, Message.of(ArchiveCode.ABSOLUTE))
    if ".." in re.split(r"[/\\]", name):
        raise TemplateError(shown(name), 0, Message.of(ArchiveCode.LEADS_OUT))
    return [part for part in name.split("/") if part not in {"", "."}]


def _faults(member: Member, path: str, parts: list[str]) -> Iterator[Message]:
    if member.kind is Kind.LINK:
        yield Message.of(ArchiveCode.LINK)
    if member.kind is Kind.OTHER:
        yield Message.of(ArchiveCode.SPECIAL)
    if plain_text(path) != path:
        yield Message.of(ArchiveCode.NOT_UTF8)
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        yield Message.of(ArchiveCode.LONG_NAME, most=MAX_NAME_BYTES)
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        yield Message.of(ArchiveCode.LONG_PATH, most=f"{MAX_PATH_BYTES:,}")
    if len(parts) > MAX_DEPTH:
        yield Message.of(ArchiveCode.DEEP, most=MAX_DEPTH)
    if member.size > MAX_FILE_BYTES:
        yield _TOO_LARGE


UNIX: Final = 3
FAT: Final = 0
NAMED_IN_UTF8: Final = 0x800
ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ENTRY: Final = b"PK\x01\x02"
# Errors of the library for a file that is no zip, or a broken zip.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def zip_members(data: bytes, file: str) -> Iterator[Member]:
    """The members of a zip. Raises ``TemplateError`` (``file`` or a member's name) if it is broken, encrypted or too large."""
    # Count first, because the library uses memory for each entry of the directory.
    if data.count(_ENTRY) > MAX_MEMBERS:
        raise TemplateError(file, 0, Message.of(ArchiveCode.MANY_MEMBERS, most=f"{MAX_MEMBERS:,}"))
    try:
        opened = zipfile.ZipFile(BytesIO(data))
    except _BROKEN as error:
        raise TemplateError(file, 0, Message.of(ArchiveCode.NO_ZIP)) from error
    with opened:
        listed = opened.infolist()
        _check(listed, len(data))
        for info in listed:
            name = _name(info)
            yield Member(name, _kind(info, name), info.file_size, _is_executable(info), partial(_read, opened, info))


def _name(info: zipfile.ZipInfo) -> str:
    r"""The intended name. macOS does not flag UTF-8 names, and some packers on Windows separate folders with ``\``."""
    name = info.orig_filename
    if not info.flag_bits & NAMED_IN_UTF8 and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if info.create_system == FAT and "/" not in name else name


def _check(listed: list[zipfile.ZipInfo], packed: int) -> None:
    total = 0
    for info in listed:
        # A larger member is left out and never unpacked.
        total += info.file_size if info.file_size <= MAX_FILE_BYTES else 0
        if info.flag_bits & ENCRYPTED:
            raise TemplateError(shown(info.orig_filename), 0, Message.of(ArchiveCode.ENCRYPTED))
        if info.compress_type not in METHODS:
            raise TemplateError(shown(info.orig_filename), 0, Message.of(ArchiveCode.COMPRESSION))
        check_unpacked(info.orig_filename, total)
    if listed:
        check_ratio(max(listed, key=lambda info: info.file_size).orig_filename, packed, total)


def _kind(info: zipfile.ZipInfo, name: str) -> Kind:
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == UNIX else 0
    if kind == stat.S_IFLNK:
        return Kind.LINK
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return Kind.OTHER
    return Kind.FOLDER if name.endswith("/") or kind == stat.S_IFDIR else Kind.FILE


def _is_executable(info: zipfile.ZipInfo) -> bool:
    return info.create_system == UNIX and bool((info.external_attr >> 16) & stat.S_IXUSR)


def _read(opened: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    try:
        with opened.open(info) as member:
            return member.read(limit)
    except _BROKEN as error:
        raise TemplateError(shown(info.orig_filename), 0, Message.of(ArchiveCode.BROKEN_MEMBER)) from error
