"""Templates as one archive (zip or tar.gz): a folder for each, and a manifest with the fields that a folder cannot express.

An export is deterministic, and importing it restores the same templates. An archive without a manifest is read like a folder
of templates. Such an archive may be packed by hand, or by a git host with one folder around all files.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final, Literal

from lxc_dashboard.errors import ServiceUnavailableError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import layout
from lxc_dashboard.services.templates.format.conf import CONF_NAME
from lxc_dashboard.services.templates.format.layout import MANIFEST_NAME, WrittenFile, folded, mode_of, written
from lxc_dashboard.services.templates.format.tree import Tree
from lxc_dashboard.services.templates.model import Refusal, TemplateContent
from lxc_dashboard.services.templates.sources.codes import ArchiveCode
from lxc_dashboard.services.templates.sources.folder import Discovery, discover
from lxc_dashboard.services.templates.sources.unpacking import (
    MAX_ARCHIVE_BYTES,
    MAX_MEMBERS,
    MAX_UNPACKED_BYTES,
    UNIX,
    Kind,
    LeftOut,
    Member,
    Unpacking,
    check_ratio,
    check_unpacked,
    shown,
    zip_members,
)

BLOCK_BYTES: Final = 512
PIECE_BYTES: Final = 1 << 20
INPUT_BYTES: Final = 64 << 10
MAX_STREAMS: Final = 1_000
# For a long name, or for the records about one member.
MAX_HEADER_BYTES: Final = 64 << 10
# A tar adds headers and padding to the contents.
MAX_TAR_BYTES: Final = MAX_UNPACKED_BYTES + 4 * BLOCK_BYTES * MAX_MEMBERS

_GZIP_WBITS: Final = zlib.MAX_WBITS | 16
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
    """Unpack the tar in ``data`` into ``out``. Raises ``TemplateError`` (``file``) if it is broken or exceeds the limits."""
    source = BytesIO(data)
    unpacked, streams, waiting = 0, 0, source.read(INPUT_BYTES)
    while waiting:
        streams += 1
        if streams > MAX_STREAMS:
            raise TemplateError(file, 0, Message.of(ArchiveCode.MANY_STREAMS, most=f"{MAX_STREAMS:,}"))
        stream = zlib.decompressobj(_GZIP_WBITS)
        for piece in _stream(stream, waiting, source, file):
            unpacked += len(piece)
            _check(file, len(data), unpacked)
            out.write(piece)
        # Some packers write several streams, or padding after the last one.
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
    """The members of a tar. Raises ``TemplateError`` with ``file`` or a member's name for an invalid tar."""
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
        # Links, folders and devices have no data, even if their header has a size.
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


ArchiveKind = Literal["zip", "tar.gz"]
KINDS: Final[tuple[ArchiveKind, ...]] = ("zip", "tar.gz")
LEVEL: Final = 6
MAX_LEFT_OUT_SHOWN: Final = 100
# The earliest time that a zip can store.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP: Final = b"\x1f\x8b"
# Browsers number repeated downloads.
_SUFFIX = re.compile(r"(?: ?\([0-9]{1,3}\))?\.(zip|tgz|tar(?: ?\([0-9]{1,3}\))?\.gz)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """``found`` by folder; each of ``refused`` names the faulty member, below the archive's root."""

    found: tuple[TemplateContent, ...]
    refused: tuple[Refusal, ...] = ()


# Export


def export(contents: Sequence[TemplateContent], kind: ArchiveKind) -> bytes:
    """Pack these templates, sorted by name. Deterministic for any order of ``contents``.

    Raises ``TemplateError`` for a template that no folder can hold, for two of one name, and if ``read`` would refuse the result.
    """
    ordered = sorted(contents, key=lambda content: content.name)
    members = {MANIFEST_NAME: WrittenFile(layout.encode_manifest(ordered))}
    taken = {folded(MANIFEST_NAME)}
    for content in ordered:
        if folded(content.name) in taken:
            raise TemplateError(content.name, 0, Message.of(ArchiveCode.EXPORT_NAME_TWICE))
        taken.add(folded(content.name))
        members |= {f"{content.name}/{path}": file for path, file in written(content).items()}
    total = 0
    for path, file in members.items():
        total += len(file.data)
        check_unpacked(path, total)
    folders = {str(parent) for path in members for parent in PurePosixPath(path).parents}
    if len(members) + len(folders) > MAX_MEMBERS:
        raise TemplateError(MANIFEST_NAME, 0, Message.of(ArchiveCode.EXPORT_MANY_FILES, most=f"{MAX_MEMBERS:,}"))
    data = _zip(members) if kind == "zip" else _tar_gz(members)
    check_ratio(MANIFEST_NAME, len(data), total)
    if len(data) > MAX_ARCHIVE_BYTES:
        raise TemplateError(MANIFEST_NAME, 0, Message.of(ArchiveCode.EXPORT_TOO_LARGE, most=f"{MAX_ARCHIVE_BYTES:,}"))
    return data


def _zip(members: Mapping[str, WrittenFile]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, file in members.items():
            info = zipfile.ZipInfo(path, EPOCH)
            info.create_system = UNIX
            info.external_attr = (0o100000 | mode_of(executable=file.executable)) << 16
            archive.writestr(info, file.data, zipfile.ZIP_DEFLATED, LEVEL)
    return out.getvalue()


def _tar_gz(members: Mapping[str, WrittenFile]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(file.data)
            info.mode = mode_of(executable=file.executable)
            archive.addfile(info, BytesIO(file.data))
    # Unlike gzip's own, this header has no time and no file name.
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(out.getbuffer()) + packer.flush()


# Import


def read(data: bytes, filename: str = "archive") -> ImportResult:
    """Read the templates of a zip or tar.gz. ``filename`` is for messages, and names a template in the archive's root.

    Raises ``TemplateError`` for an archive that is refused as a whole; its file is a member or ``filename``. Raises
    ``ServiceUnavailableError`` if there is no space to unpack the archive.
    """
    name = PurePosixPath(shown(filename).replace("\\", "/")).name or "archive"
    if len(data) > MAX_ARCHIVE_BYTES:
        raise TemplateError(name, 0, Message.of(ArchiveCode.TOO_LARGE, most=f"{MAX_ARCHIVE_BYTES:,}"))
    try:
        with tempfile.TemporaryDirectory(prefix="lxc-dashboard-import-") as temporary:
            return _read(_unpacked(data, name, _begin(Path(temporary), _SUFFIX.sub("", name))), name)
    except OSError as error:
        raise ServiceUnavailableError(Message.of(ArchiveCode.NO_SPACE, cause=error.strerror or "")) from error


def _begin(temporary: Path, name: str) -> Path:
    """An empty folder, named like the archive if possible. A template in the archive's root gets this name."""
    root = temporary / (name.lstrip(".") or "archive")
    try:
        root.mkdir()
    except OSError:
        root = temporary / "archive"
        root.mkdir()
    return root


def _unpacked(data: bytes, name: str, root: Path) -> Unpacking:
    unpacking = Unpacking(root)
    if data.startswith(_ZIP):
        unpacking.run(zip_members(data, name))
    elif data.startswith(_GZIP):
        with tempfile.TemporaryFile() as tar:
            gunzip(data, name, tar)
            unpacking.run(tar_members(tar, name))
    else:
        raise TemplateError(name, 0, Message.of(ArchiveCode.UNKNOWN_KIND))
    return unpacking


def _read(unpacking: Unpacking, name: str) -> ImportResult:
    root = _root(unpacking.folder)
    around = "" if root == unpacking.folder else f"{root.name}/"
    _check_manifest(root, around)
    discovery = discover(root)
    refused = [replace(refusal, file=f"{around}{refusal.file}") for refusal in discovery.refused]
    incomplete = _incomplete(discovery, unpacking.left_out, around)
    kept = [content for content in discovery.found if content.name not in incomplete]
    refused += _left_out(unpacking.left_out, incomplete, discovery)
    if not kept and not refused:
        raise TemplateError(name, 0, Message.of(ArchiveCode.NO_TEMPLATE, conf=CONF_NAME))
    return ImportResult(tuple(kept), tuple(refused))


def _root(folder: Path) -> Path:
    """The folder with the templates: the only folder at the top, if it is no template itself, or else the top."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir() and not (entries[0] / CONF_NAME).exists():
        return entries[0]
    return folder


def _check_manifest(root: Path, around: str) -> None:
    """Refuse the whole archive for an invalid manifest beside the templates. Raises ``TemplateError``."""
    try:
        layout.read_manifest(Tree(root.resolve()), ".")
    except TemplateError as error:
        raise TemplateError(f"{around}{error.file}", error.line, error.why) from error


def _incomplete(discovery: Discovery, left_out: Sequence[LeftOut], around: str) -> dict[str, LeftOut]:
    """The first left-out member of each incomplete template, by the template's name."""
    found: dict[str, LeftOut] = {}
    for location, mark in discovery.fingerprints.items():
        places = [place for place in (location, *mark.paths) if place != "."]
        for member in left_out:
            below = member.path.removeprefix(around)
            if location == "." or any(f"{below}/".startswith(f"{place}/") for place in places):
                found.setdefault(mark.name, member)
    return found


def _left_out(
    left_out: Sequence[LeftOut], incomplete: Mapping[str, LeftOut], discovery: Discovery
) -> Iterator[Refusal]:
    """One refusal for each incomplete template, then one for each other left-out member."""
    already = {refusal.name for refusal in discovery.refused}
    named = {name: member for name, member in incomplete.items() if name not in already}
    for name, member in named.items():
        yield Refusal(shown(member.path), 0, member.why, name)
    reported = {member.path for member in named.values()}
    others = [member for member in left_out if member.path not in reported]
    for member in others[:MAX_LEFT_OUT_SHOWN]:
        yield Refusal(shown(member.path), 0, member.why)
    if len(others) > MAX_LEFT_OUT_SHOWN:
        yield Refusal("", 0, Message.of(ArchiveCode.MORE_LEFT_OUT, more=f"{len(others) - MAX_LEFT_OUT_SHOWN:,}"))
