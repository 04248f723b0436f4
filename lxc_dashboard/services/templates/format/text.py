"""Text of templates: decoding, and errors that list several faults at once."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

from lxc_dashboard.errors import TemplateError

MAX_LISTED: Final = 10


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be encoded as UTF-8: half of a surrogate pair cannot."""
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
        raise TemplateError(file, 0, f"is {len(data):,} bytes long, and at most {limit:,} are read")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        raise TemplateError(
            file, data.count(b"\n", 0, data.index(b"\0")) + 1, "contains a NUL byte: this is not a text file"
        )
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateError(file, data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from error


def refuse_lines(file: str, wrong: Sequence[tuple[int, str]]) -> NoReturn:
    """Raises ``TemplateError`` at the first of these lines, with the others in its message."""
    (line, first), *others = sorted(wrong)
    messages = [first, *(f"line {number}: {why}" for number, why in others[:MAX_LISTED])]
    if len(others) > MAX_LISTED:
        messages.append(f"and {len(others) - MAX_LISTED} more")
    raise TemplateError(file, line, "; ".join(messages))


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
        """Raises ``TemplateError`` for the first fault, with the others in its message; does nothing where there is none."""
        if not self.found:
            return
        first, *others = self.found
        raise TemplateError(first.file, first.line, "; ".join([first.message, *(f"also {other}" for other in others)]))
