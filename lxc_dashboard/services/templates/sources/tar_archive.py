"""The members of a tar.gz, one after the other.

Python's own reader follows sparse files and extended headers of any size, and some versions loop forever on a negative offset.
This reader visits each block once, and its memory is bounded by the limit for unpacked data.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import IO, Final

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.codes import ArchiveCode
from lxc_dashboard.services.templates.sources.unpacking import (
    MAX_MEMBERS,
    MAX_UNPACKED_BYTES,
    Kind,
    Member,
    check_ratio,
    shown,
)

BLOCK_BYTES: Final = 512
PIECE_BYTES: Final = 1 << 20
INPUT_BYTES: Final = 64 << 10
MAX_STREAMS: Final = 1_000
# Of a name, or of the records about one member.
MAX_HEADER_BYTES: Final = 64 << 10
# Headers and padding come on top of the contents.
MAX_TAR_BYTES: Final = MAX_UNPACKED_BYTES + 4 * BLOCK_BYTES * MAX_MEMBERS

_GZIP: Final = zlib.MAX_WBITS | 16
_RECORD = re.compile(rb"([0-9]{1,8}) ")
_WITHOUT_DATA: Final = {tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}
_SPARSE: Final = {"GNU.sparse.major", "GNU.sparse.size", "GNU.sparse.realsize", "GNU.sparse.name", "GNU.sparse.map"}
_KINDS: Final = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.LNKTYPE: Kind.LINK,
    tarfile.SYMTYPE: Kind.LINK,
}
_READ: Final = {"path", "size", *_SPARSE}
_EMPTY: Final = b"\0" * BLOCK_BYTES


def gunzip(data: bytes, file: str, out: IO[bytes]) -> None:
    """Unpack the tar in ``data`` into ``out``. Raises ``TemplateError`` with ``file``: broken, cut off, or above limits."""
    source = BytesIO(data)
    unpacked, streams, waiting = 0, 0, source.read(INPUT_BYTES)
    while waiting:
        streams += 1
        if streams > MAX_STREAMS:
            raise TemplateError(file, 0, Message.of(ArchiveCode.MANY_STREAMS, most=f"{MAX_STREAMS:,}"))
        stream = zlib.decompressobj(_GZIP)
        for piece in _stream(stream, waiting, source, file):
            unpacked += len(piece)
            _check(file, len(data), unpacked)
            out.write(piece)
        # Some packers write several streams, or padding after the last.
        waiting = stream.unused_data.lstrip(b"\0") or source.read(INPUT_BYTES).lstrip(b"\0")


def _stream(stream: zlib._Decompress, waiting: bytes, source: IO[bytes], file: str) -> Iterator[bytes]:
    while not stream.eof:
        try:
            piece = stream.decompress(waiting, PIECE_BYTES)
        except zlib.error as error:
            raise TemplateError(file, 0, Message.of(ArchiveCode.NO_GZIP)) from error
        yield piece
        if not stream.eof:
            waiting = stream.unconsumed_tail or source.read(INPUT_BYTES)
            if not waiting and not piece:
                raise TemplateError(file, 0, Message.of(ArchiveCode.CUT_OFF))


def _check(file: str, packed: int, unpacked: int) -> None:
    check_ratio(file, packed, unpacked)
    if unpacked > MAX_TAR_BYTES:
        raise TemplateError(file, 0, Message.of(ArchiveCode.UNPACKED_TOO_LARGE, most=f"{MAX_TAR_BYTES:,}"))


def tar_members(tar: IO[bytes], file: str) -> Iterator[Member]:
    """Raises ``TemplateError`` with ``file``, or a member's name, for an invalid tar."""
    return _Reader(tar, file).members()


@dataclass(slots=True)
class _Reader:
    tar: IO[bytes]
    file: str
    _place: int = 0
    _end: int = 0
    _headers: int = 0
    # Records about the next member.
    _next_attributes: dict[str, str] = field(default_factory=dict)

    def members(self) -> Iterator[Member]:
        self._end = self.tar.seek(0, 2)
        while (header := self._header()) is not None:
            if header.type in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
                self._next_attributes |= {key: value for key, value in self._records(header).items() if key in _READ}
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                self._next_attributes["path"] = _text(self._whole(header).rstrip(b"\0"))
            elif header.type in {tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK}:
                self._whole(header)
            else:
                yield self._member(header)

    def _header(self) -> tarfile.TarInfo | None:
        """The next header; None at the end."""
        if self._place >= self._end:
            return None
        block = self._read(self._place, BLOCK_BYTES)
        self._place += BLOCK_BYTES
        if block == _EMPTY:
            return None
        self._headers += 1
        if self._headers > 4 * MAX_MEMBERS:
            raise TemplateError(self.file, 0, Message.of(ArchiveCode.MANY_HEADERS, most=f"{4 * MAX_MEMBERS:,}"))
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            why = Message.of(ArchiveCode.NO_TAR, byte=f"{self._place - BLOCK_BYTES:,}")
            raise TemplateError(self.file, 0, why) from error
        if header.size < 0:
            raise TemplateError(shown(header.name), 0, Message.of(ArchiveCode.NEGATIVE_SIZE))
        return header

    def _member(self, header: tarfile.TarInfo) -> Member:
        attributes, self._next_attributes = self._next_attributes, {}
        name = attributes.get("path", header.name)
        size = self._size(attributes, header, name)
        if header.type == tarfile.GNUTYPE_SPARSE or _SPARSE & attributes.keys():
            raise TemplateError(shown(name), 0, Message.of(ArchiveCode.SPARSE))
        kind = _KINDS.get(header.type, Kind.OTHER)
        if kind is Kind.FILE and name.endswith("/"):
            kind = Kind.FOLDER
        start = self._place
        # Links, folders and devices have no data, whatever size their header gives.
        has_data = kind is Kind.FILE or (kind is Kind.OTHER and header.type not in _WITHOUT_DATA)
        self._skip(name, size if has_data else 0)
        read = partial(self._content, start, size)
        return Member(name, kind, size if kind is Kind.FILE else 0, bool(header.mode & 0o100), read)

    def _size(self, attributes: dict[str, str], header: tarfile.TarInfo, name: str) -> int:
        size = attributes.get("size", "")
        if size and not re.fullmatch(r"[0-9]{1,15}", size, re.ASCII):
            raise TemplateError(shown(name), 0, Message.of(ArchiveCode.BROKEN_SIZE))
        return int(size) if size else header.size

    def _skip(self, name: str, size: int) -> None:
        if self._place + size > self._end:
            raise TemplateError(shown(name), 0, Message.of(ArchiveCode.CUT_OFF_WITHIN))
        self._place += -(-size // BLOCK_BYTES) * BLOCK_BYTES

    def _content(self, start: int, size: int, limit: int) -> bytes:
        return self._read(start, min(size, limit))

    def _whole(self, header: tarfile.TarInfo) -> bytes:
        """The data after a header that describes another member."""
        if header.size > MAX_HEADER_BYTES:
            raise TemplateError(self.file, 0, Message.of(ArchiveCode.LARGE_HEADER, most=f"{MAX_HEADER_BYTES:,}"))
        start = self._place
        self._skip(header.name, header.size)
        return self._read(start, header.size)

    def _records(self, header: tarfile.TarInfo) -> dict[str, str]:
        """Parse records ``LENGTH KEY=VALUE``, each with a line end; the length includes itself."""
        data, place = self._whole(header), 0
        found = {}
        while place < len(data) and data[place]:
            length = _RECORD.match(data, place)
            end = place + int(length.group(1)) if length else 0
            key, equals, value = data[length.end() : end - 1].partition(b"=") if length else (b"", b"", b"")
            if not length or end > len(data) or end <= length.end() or not equals:
                raise TemplateError(self.file, 0, Message.of(ArchiveCode.BROKEN_HEADER))
            found[_text(key)] = _text(value)
            place = end
        return found

    def _read(self, place: int, size: int) -> bytes:
        self.tar.seek(place)
        data = self.tar.read(size)
        if len(data) < size:
            raise TemplateError(self.file, 0, Message.of(ArchiveCode.CUT_OFF))
        return data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
