"""A place in a text that is read as bash reads it, and the ways to refuse what stands there."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NoReturn

from lxc_dashboard.errors import TemplateError

DIGITS = "0123456789"

_NAME_PART = re.compile(r"[A-Za-z0-9_]+")
_WORD = re.compile(r"\S*")


class Cursor:
    """Line continuations are passed over, so that they may stand anywhere. For subclasses: all of it is theirs to use."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._pos = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]

    def _peek(self) -> str:
        """The next character, past line continuations; empty at the end."""
        while self._text.startswith("\\\n", self._pos):
            self._pos += 2
        return self._text[self._pos : self._pos + 1]

    def _name(self) -> str:
        """The name that begins here, continuations taken out of it; empty when there is none."""
        parts: list[str] = []
        while char := self._peek():
            match = _NAME_PART.match(self._text, self._pos)
            if not match or (not parts and char in DIGITS):
                break
            self._pos = match.end()
            parts.append(match.group())
        return "".join(parts)

    def _skip_blanks(self) -> None:
        while self._peek() in {" ", "\t"}:
            self._pos += 1

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._pos)
        self._pos = len(self._text) if end < 0 else end

    def _line(self, pos: int) -> int:
        return bisect_left(self._newlines, pos) + 1

    def _refuse(self, why: str, pos: int | None = None) -> NoReturn:
        raise TemplateError(self._file, self._line(self._pos if pos is None else pos), why)

    def _refuse_computed(self, what: str, pos: int | None = None) -> NoReturn:
        self._refuse(
            f"{what} would have to be computed by bash: only plain values and ${{NAME:-default}} are read", pos
        )

    def _refuse_command(self, pos: int) -> NoReturn:
        word = _WORD.match(self._text, pos)
        shown = word.group()[:40] if word else ""
        self._refuse(f"{shown} is a command, and commands are never run: only assignments are read", pos)
