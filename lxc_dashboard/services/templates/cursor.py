"""A place in a text that is read as bash reads it, and the ways to refuse what stands there."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NoReturn

from lxc_dashboard.errors import TemplateError

DIGITS = "0123456789"

_NAME_PART = re.compile(r"[A-Za-z0-9_]+")
_WORD = re.compile(r"\S*")
_LONG = re.compile(r"(\w{60})\w{41,}")
_SWALLOWED = re.compile(r"\n[ \t]*(?:export[ \t]+)?TEMPLATE_[A-Z_]+=")


class Cursor:
    """Line continuations are passed over, so that they may stand anywhere. For subclasses: all of it is theirs to use."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._pos = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        # Whose value is being read; whose was read last, what it is, and the line that it ends in; whose quote ends late.
        self._whose = ""
        self._last = ("", "", 0)
        self._open = ""

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

    def _is_read(self, name: str, value: str, line: int) -> None:
        """A value is through, which began in ``line``."""
        self._whose, self._last = "", (name, value, self._line(self._pos))
        if not self._open and swallows(value):
            self._open = f"; is the quote of {name} in line {line} closed where it should be?"

    def _refuse(self, why: str, pos: int | None = None) -> NoReturn:
        whose = f"{self._whose}: " if self._whose else ""
        told = _LONG.sub(r"\1...", f"{whose}{why}{self._open}")
        raise TemplateError(self._file, self._line(self._pos if pos is None else pos), told)

    def _refuse_computed(self, what: str, pos: int | None = None) -> NoReturn:
        self._refuse(
            f"{what} would have to be computed by bash: only plain values and ${{NAME:-default}} are read", pos
        )

    def _refuse_command(self, pos: int) -> NoReturn:
        char = self._text[pos]
        if not char.isprintable():
            self._refuse(f"a word begins with the character {char!a}, which cannot be seen: take it out", pos)
        word = _WORD.match(self._text, pos)
        shown = word.group()[:40] if word else ""
        why = f"{shown} is a command, and commands are never run: only assignments are read"
        self._refuse(f"{why}{self._meant_for(pos)}", pos)

    def _meant_for(self, pos: int) -> str:
        """What helps where a value without quotes ended too early."""
        name, value, line = self._last
        if line != self._line(pos):
            return ""
        wrong = "put that in quotes" if value else "no blank may stand behind its ="
        return f"; if this is part of the value of {name}, {wrong}"


def swallows(value: str) -> bool:
    """Whether another assignment of a template stands in it, as behind a quote that was never closed."""
    return _SWALLOWED.search(value) is not None
