"""Reads inside one folder: follows no link that leads out of it, and limits sizes and counts."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final, NoReturn

from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode

MAX_LISTED: Final = 10


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be encoded as UTF-8. Half of a surrogate pair cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def decode(data: bytes, file: str, limit: int) -> str:
    """Decode UTF-8 text, with LF line ends and without byte order mark.

    Raises ``TemplateError`` for other encodings, for NUL bytes, and above ``limit`` bytes.
    """
    if len(data) > limit:
        raise TemplateError(file, 0, Message.of(FormatCode.TOO_LARGE, length=f"{len(data):,}", most=f"{limit:,}"))
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise TemplateError(file, line, Message.of(FormatCode.NUL_BYTE))
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateError(file, data.count(b"\n", 0, error.start) + 1, Message.of(FormatCode.NOT_UTF8)) from error


def refuse_lines(file: str, wrong: Sequence[tuple[int, Message]]) -> NoReturn:
    """Raises ``TemplateError`` for the first of these lines. Its reason names the others."""
    (line, first), *others = sorted(wrong, key=itemgetter(0))
    listed = [Message.of(FormatCode.LINE, line=number, reason=why) for number, why in others[:MAX_LISTED]]
    if len(others) > MAX_LISTED:
        listed.append(Message.of(FormatCode.MORE, more=len(others) - MAX_LISTED))
    raise TemplateError(file, line, _several(first, listed))


def _several(first: Message, others: Sequence[Message]) -> Message:
    return Message.of(FormatCode.SEVERAL, first=first, others=others) if others else first


MAX_FAULTS: Final = 10


@dataclass(slots=True)
class Faults:
    """Collects the errors of several parts, so that the author sees all of them at once."""

    found: list[TemplateError] = field(default_factory=list)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Collect the ``TemplateError`` of one part. Raises it once ``MAX_FAULTS`` are collected."""
        try:
            yield
        except TemplateError as error:
            self.found.append(error)
            if len(self.found) == MAX_FAULTS:
                self.refuse()

    def refuse(self) -> None:
        """Raises ``TemplateError`` for the first fault, if there is one. Its reason names the others."""
        if not self.found:
            return
        first, *others = self.found
        also = [Message.of(FormatCode.ALSO, fault=other.reason) for other in others]
        raise TemplateError(first.file, first.line, _several(first.why, also))


MAX_TEMPLATE_BYTES = 64 << 20
MAX_ENTRIES = 5_000
MAX_DEPTH = 8
MAX_NAME_BYTES = 255

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def plain_text(name: str) -> str:
    """A file's name as text to store and show. Replaces bytes that are not printable UTF-8."""
    return _CONTROL.sub("?", os.fsencode(name).decode("utf-8", "replace"))


def check_file_name(name: str, limit: int = MAX_NAME_BYTES) -> None:
    """Raises ``RuleError`` for an invalid file name; ``limit`` in bytes."""
    if not name or name in {".", ".."} or "/" in name or not is_unicode(name) or plain_text(name) != name:
        raise RuleError(Message.of(FormatCode.BAD_FILE_NAME))
    if len(name.encode()) > limit:
        raise RuleError(Message.of(FormatCode.LONG_FILE_NAME, most=limit))


def is_inside(real: str, root: str) -> bool:
    """Whether ``real`` is ``root`` or below it. Both are real, absolute paths."""
    return real == root or real.startswith(root.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a folder. ``path`` is real (links followed); ``shown`` is relative to the tree's root, for messages."""

    name: str
    path: str
    shown: str
    is_dir: bool


class Tree:
    """One template's view of the folder ``root`` (real and absolute). All reads count against its limits."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.bytes_read = 0
        self._entries = 0

    def below(self, path: str) -> Entry | None:
        """The entry at ``path``, relative to the root; None if there is none.

        Raises ``TemplateError`` when a link leads out of the tree or in a circle.
        """
        full = Path(self._root, path)
        if not os.path.lexists(full):
            return None
        return Entry(full.name, self._real(str(full), path), path, full.is_dir())

    def entries(self, folder: Entry) -> list[Entry]:
        """The folder's entries by name, in the C locale. Raises ``TemplateError`` as ``below``, and for too many."""
        found = []
        with os.scandir(folder.path) as listing:
            for item in listing:
                self._count(folder)
                found.append(self._listed(item, folder))
        return sorted(found, key=lambda entry: entry.name.encode())

    def read(self, file: Entry, limit: int) -> tuple[bytes, bool]:
        """The content, and whether the file is executable. Raises ``TemplateError`` above ``limit`` bytes."""
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise TemplateError(file.shown, 0, Message.of(FormatCode.IRREGULAR))
        with os.fdopen(descriptor, "rb") as opened:
            data = opened.read(limit + 1)
        if len(data) > limit:
            raise TemplateError(file.shown, 0, Message.of(FormatCode.FILE_TOO_LARGE, most=f"{limit:,}"))
        self.bytes_read += len(data)
        if self.bytes_read > MAX_TEMPLATE_BYTES:
            raise TemplateError(
                file.shown, 0, Message.of(FormatCode.TEMPLATE_TOO_LARGE, most=f"{MAX_TEMPLATE_BYTES:,}")
            )
        return data, bool(status.st_mode & stat.S_IXUSR)

    def _listed(self, item: os.DirEntry[str], folder: Entry) -> Entry:
        name = plain_text(item.name)
        shown = name if folder.shown == "." else f"{folder.shown}/{name}"
        if name != item.name:
            raise TemplateError(shown, 0, Message.of(FormatCode.NAME_NOT_UTF8))
        if not item.is_symlink():
            return Entry(item.name, item.path, shown, item.is_dir())
        return Entry(item.name, self._real(item.path, shown), shown, item.is_dir())

    def _real(self, path: str, shown: str) -> str:
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as error:
            raise TemplateError(shown, 0, Message.of(FormatCode.LINK_NOWHERE)) from error
        if not is_inside(real, self._root):
            raise TemplateError(shown, 0, Message.of(FormatCode.LINK_OUTSIDE))
        return real

    def _count(self, folder: Entry) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise TemplateError(
                folder.shown, 0, Message.of(FormatCode.TEMPLATE_TOO_MANY_FILES, most=f"{MAX_ENTRIES:,}")
            )
