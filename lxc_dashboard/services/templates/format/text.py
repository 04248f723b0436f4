"""Text of templates: decoding, and errors that list several faults at once."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NoReturn

from lxc_dashboard.errors import TemplateError
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
