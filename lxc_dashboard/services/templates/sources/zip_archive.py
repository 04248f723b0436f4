"""The members of a zip, one after the other."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Final

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.sources.codes import ArchiveCode
from lxc_dashboard.services.templates.sources.unpacking import (
    MAX_MEMBERS,
    Kind,
    Member,
    check_ratio,
    check_unpacked,
    shown,
)

UNIX: Final = 3
FAT: Final = 0
NAMED_IN_UTF8: Final = 0x800
ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ENTRY: Final = b"PK\x01\x02"
# What the library raises for a file that is no zip, or a broken one.
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
    """Raises ``TemplateError`` with ``file``, or a member's name: broken, cut off, encrypted, or above limits."""
    # Counted before: reading the list of contents costs memory for each entry.
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
    r"""The intended name: macOS does not flag UTF-8 names, and some packers on Windows separate folders with ``\``."""
    name = info.orig_filename
    if not info.flag_bits & NAMED_IN_UTF8 and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if info.create_system == FAT and "/" not in name else name


def _check(listed: list[zipfile.ZipInfo], packed: int) -> None:
    total = 0
    for info in listed:
        # A larger one is left out and never unpacked.
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
