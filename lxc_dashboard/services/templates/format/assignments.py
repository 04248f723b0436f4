"""The part of bash that ``template.conf`` may use: assignments, read without running anything.

Supported: both kinds of quotes and their concatenation, backslash escapes, line continuations, ``$X``, ``${X}``,
``${X:-default}`` (also nested), ``export``, several assignments on a line, comments. The environment is empty: a variable
that the file does not set is empty. A command, or an expression that bash would have to compute, is an error with its line.
Parsing takes linear time, and the size of expansions is bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import NoReturn

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.tree import decode

# In quotes within quotes, bash removes the quotes before it looks for the end of a name.
JOINED = re.compile(r'(?:\\\n)*"(?:"|\\\n)*[A-Za-z0-9_]')
PLAIN_PAIR = re.compile(r"'[^'\"\\$`}]*'")


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """The context of a piece of a word: which characters end it (``ends``), can be escaped, or are plain."""

    ends: str
    plain: re.Pattern[str]
    in_quotes: bool = True
    escapable: str = '$`"\\}'


VALUE = _Place(" \t\n;&|<>()", re.compile(r"[^ \t\n'\"\\$`;&|<>(){~]+"), in_quotes=False)
DEFAULT = _Place("}", re.compile(r"[^}'\"\\$`<>{~]+"), in_quotes=False)
QUOTED = _Place('"', re.compile(r'[^"\\$`]+'), escapable='$`"\\')
QUOTED_DEFAULT = _Place("}", re.compile(r"[^}'\"\\$`<>]+"))
QUOTED_IN_QUOTED_DEFAULT = _Place('"', QUOTED.plain)


DIGITS = "0123456789"

_NAME_PART = re.compile(r"[A-Za-z0-9_]+")
_WORD = re.compile(r"\S*")
_LONG = re.compile(r"(\w{60})\w{41,}")
_SWALLOWED = re.compile(r"\n[ \t]*(?:export[ \t]+)?TEMPLATE_[A-Z_]+=")


class _Cursor:
    """A position in the text of a file. Skips line continuations, which may appear anywhere."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._pos = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        # The name whose value is being read; the last (name, value, end line); (name, line) of a quote that closed late.
        self._whose = ""
        self._last = ("", "", 0)
        self._open: tuple[str, int] | None = None

    def _peek(self) -> str:
        """The next character after line continuations; empty at the end of the text."""
        while self._text.startswith("\\\n", self._pos):
            self._pos += 2
        return self._text[self._pos : self._pos + 1]

    def _name(self) -> str:
        """Read the name at this position, without continuations; empty if there is none."""
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
        """Note a complete value, which begins in ``line``."""
        self._whose, self._last = "", (name, value, self._line(self._pos))
        if not self._open and swallows(value):
            self._open = (name, line)

    def _refuse(self, why: Message, pos: int | None = None) -> NoReturn:
        if self._whose:
            why = Message.of(FormatCode.IN_VALUE, name=_short(self._whose), reason=why)
        if self._open:
            name, line = self._open
            why = Message.of(FormatCode.PERHAPS_UNCLOSED, reason=why, name=_short(name), line=line)
        raise TemplateError(self._file, self._line(self._pos if pos is None else pos), why)

    def _refuse_computed(self, code: str, pos: int | None = None) -> NoReturn:
        """Refuse ``code``, an expression that bash would compute."""
        self._refuse(Message.of(FormatCode.COMPUTED, code=_short(code)), pos)

    def _refuse_command(self, pos: int) -> NoReturn:
        char = self._text[pos]
        if not char.isprintable():
            self._refuse(Message.of(FormatCode.INVISIBLE, character=ascii(char)), pos)
        found = _WORD.match(self._text, pos)
        word = found.group()[:40] if found else ""
        name, value, line = self._last
        if line != self._line(pos):
            self._refuse(Message.of(FormatCode.COMMAND, word=word), pos)
        # Probably a value with a blank but without quotes.
        code = FormatCode.COMMAND_UNQUOTED if value else FormatCode.COMMAND_AFTER_BLANK
        self._refuse(Message.of(code, word=word, name=_short(name)), pos)


def _short(code: str) -> str:
    """``code`` with its long names shortened."""
    return _LONG.sub(r"\1...", code)


def swallows(value: str) -> bool:
    """Whether the value contains another assignment of a template, as after a quote that was never closed."""
    return _SWALLOWED.search(value) is not None


MAX_CONF_BYTES = 256 << 10
MAX_EXPANDED_CHARS = 4 << 20
MAX_NESTING = 32

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Variables that bash sets by itself: the file cannot know their values.
_SET_BY_BASH = re.compile(
    r"_|BASH\w*|COMP_WORDBREAKS|DIRSTACK|EPOCH\w+|E?UID|FUNCNAME|GROUPS|HISTCMD|HOSTNAME|HOSTTYPE|IFS|LINENO|MACHTYPE"
    r"|OLDPWD|OPTERR|OPTIND|OSTYPE|PATH|PIPESTATUS|PPID|PS4|PWD|S?RANDOM|SECONDS|SHELL|SHELLOPTS|SHLVL|TERM",
)
# Variables that bash refuses to assign, or whose value differs from what was assigned.
_MAGIC = re.compile(
    r"_|BASH\w*|COMP_WORDBREAKS|DIRSTACK|EPOCH\w+|E?UID|FUNCNAME|GROUPS|HISTCMD|LINENO|OPTIND|PIPESTATUS|PPID|POSIXLY_CORRECT"
    r"|S?RANDOM|SECONDS|SHELLOPTS",
)
_SPACED = re.compile(r"[ \t]+=")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment. ``line``: its first line, from 1."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Assignments:
    """``values`` by name (the last one counts); ``repeated``: (name, line of the later one); ``used``: names that are expanded."""

    values: dict[str, Assignment]
    repeated: tuple[tuple[str, int], ...]
    used: frozenset[str]


def read_assignments(data: bytes, file: str) -> Assignments:
    """Parse a file. Raises ``TemplateError`` with ``file`` and the line at fault."""
    return _Reader(decode(data, file, MAX_CONF_BYTES), file).read()


class _Reader(_Cursor):
    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self._values: dict[str, Assignment] = {}
        self._repeated: list[tuple[str, int]] = []
        self._used: set[str] = set()
        self._budget = MAX_EXPANDED_CHARS
        self._depth = 0
        self._exporting = False
        self._exported: list[tuple[str, Assignment]] = []

    def read(self) -> Assignments:
        control = CONTROL.search(self._text)
        if control:
            self._refuse(
                Message.of(FormatCode.HOLDS_CONTROL_CHARACTER, character=repr(control.group())), control.start()
            )
        while self._between_statements():
            self._statement()
        return Assignments(self._values, tuple(self._repeated), frozenset(self._used))

    # Statements

    def _between_statements(self) -> bool:
        """Go to the next statement; False at the end of the file."""
        while True:
            self._skip_blanks()
            if self._peek() == "#":
                self._skip_comment()
            if self._peek() != "\n":
                return self._peek() != ""
            self._pos += 1

    def _statement(self) -> None:
        self._exporting = False
        start = self._pos
        items = 0
        while self._peek() not in {"", "\n", ";", "#"}:
            self._item(start)
            self._skip_blanks()
            items += 1
        if self._exporting and items == 1:
            self._refuse_command(start)
        # bash expands all arguments of export before it assigns any.
        for name, assignment in self._exported:
            self._store(name, assignment)
        self._exported.clear()
        if self._peek() == ";":
            if self._pos == start:
                self._refuse(Message.of(FormatCode.LONE_SEMICOLON))
            self._pos += 1
            self._skip_blanks()
            if self._peek() == ";":
                self._refuse(Message.of(FormatCode.LONE_SEMICOLON))

    def _item(self, statement_start: int) -> None:
        """Read one assignment, ``export``, or a name after it."""
        start = self._pos
        name = self._name()
        following = self._peek()
        if name and following == "=":
            self._pos += 1
            self._assign(name, start)
        elif name and following == "[":
            self._refuse(Message.of(FormatCode.COMPUTED_ARRAY_OF, name=_short(name)), start)
        elif name and following == "+":
            self._refuse_computed(f"{name}+=", start)
        elif following and following not in " \t\n;":
            self._refuse_command(start)
        elif name == "export" and start == statement_start:
            self._exporting = True
        elif not self._exporting:
            if name and _SPACED.match(self._text, self._pos):
                self._refuse(Message.of(FormatCode.SPACED, name=_short(name)), start)
            self._refuse_command(start)

    def _assign(self, name: str, start: int) -> None:
        if _MAGIC.fullmatch(name):
            self._refuse(Message.of(FormatCode.RESERVED, name=_short(name)), start)
        self._whose = name
        if self._peek() == "(":
            self._refuse(Message.of(FormatCode.COMPUTED_ARRAY), start)
        value = self._piece(VALUE, self._pos)
        if self._peek() not in {"", "\n", " ", "\t", ";"}:
            self._refuse(Message.of(FormatCode.UNQUOTED, character=self._peek()))
        assignment = Assignment(value, self._line(start))
        self._is_read(name, value, assignment.line)
        if self._exporting:
            self._exported.append((name, assignment))
        else:
            self._store(name, assignment)

    def _store(self, name: str, assignment: Assignment) -> None:
        if name in self._values:
            self._repeated.append((name, assignment.line))
        self._values[name] = assignment

    # Words

    def _piece(self, place: _Place, opened: int) -> str:
        """Read up to the character that ends ``place``, which stays unread."""
        parts: list[str] = []
        tilde_counts = not place.in_quotes
        while True:
            char = self._peek()
            if char and char in place.ends:
                return "".join(parts)
            if not char:
                if place is VALUE:
                    return "".join(parts)
                self._refuse(Message.of(FormatCode.UNCLOSED), opened)
            if char == "~" and tilde_counts:
                self._refuse(Message.of(FormatCode.COMPUTED_TILDE))
            part = self._run(place) or self._special(char, place)
            tilde_counts = not place.in_quotes and self._text[self._pos - 1] == ":"
            parts.append(self._spend(part))

    def _run(self, place: _Place) -> str:
        match = place.plain.match(self._text, self._pos)
        if not match:
            return ""
        self._pos = match.end()
        return match.group()

    def _special(self, char: str, place: _Place) -> str:
        if char == "\\":
            return self._escape(place)
        if char == "$":
            return self._dollar(place)
        if char == "`":
            self._refuse(Message.of(FormatCode.COMPUTED_BACKTICKS))
        if char == '"':
            return self._quoted(place)
        if char == "'":
            return self._quotes_in_quotes() if place.in_quotes else self._single_quoted()
        return self._plain(char)

    def _plain(self, char: str) -> str:
        """Read a character that is special only in certain combinations."""
        if char == "{" and self._exporting:
            self._refuse(Message.of(FormatCode.COMPUTED_BRACE))
        self._pos += 1
        if char in "<>" and self._peek() == "(":
            self._refuse_computed(f"{char}(...)")
        return char

    def _escape(self, place: _Place) -> str:
        escaped = self._text[self._pos + 1 : self._pos + 2]
        self._pos += 1 + len(escaped)
        if place is QUOTED_IN_QUOTED_DEFAULT and escaped not in place.escapable:
            self._refuse(Message.of(FormatCode.COMPUTED_ESCAPE, code=f"\\{escaped}"))
        if place.in_quotes and escaped not in place.escapable:
            return "\\" + escaped
        return escaped or "\\"

    def _single_quoted(self) -> str:
        opened = self._pos
        end = self._text.find("'", opened + 1)
        if end < 0:
            self._refuse(Message.of(FormatCode.UNCLOSED_QUOTE), opened)
        self._pos = end + 1
        return self._text[opened + 1 : end]

    def _quotes_in_quotes(self) -> str:
        """Read single quotes in a default within double quotes. They stay in the value, and bash requires pairs."""
        pair = PLAIN_PAIR.match(self._text, self._pos)
        if not pair:
            self._refuse(Message.of(FormatCode.UNPAIRED_QUOTE))
        self._pos = pair.end()
        return pair.group()

    def _quoted(self, outside: _Place) -> str:
        opened = self._pos
        self._pos += 1
        value = self._piece(QUOTED_IN_QUOTED_DEFAULT if outside is QUOTED_DEFAULT else QUOTED, opened)
        self._pos += 1
        return value

    # Expansions

    def _dollar(self, place: _Place) -> str:
        start = self._pos
        self._pos += 1
        char = self._peek()
        name = self._name()
        if name:
            if place in {QUOTED_DEFAULT, QUOTED_IN_QUOTED_DEFAULT} and JOINED.match(self._text, self._pos):
                self._refuse(Message.of(FormatCode.UNBRACED, name=_short(name)), start)
            return self._value_of(name, start)
        if char == "{":
            return self._braced(place, start)
        if char in {"(", "["}:
            self._refuse_computed(f"${char}...", start)
        if char and char in "@*#?-$!" + DIGITS:
            self._refuse_computed(f"${char}", start)
        if char in {"'", '"'} and place.ends != '"':
            self._refuse_computed(f"${char}...{char}", start)
        return "$"

    def _braced(self, place: _Place, start: int) -> str:
        self._pos += 1
        name = self._name()
        if not name:
            self._refuse(Message.of(FormatCode.COMPUTED_EXPANSION), start)
        default = ""
        if self._peek() == ":":
            self._pos += 1
            if self._peek() != "-":
                self._refuse(Message.of(FormatCode.COMPUTED_EXPANSION), start)
            self._pos += 1
            default = self._default(place, start)
        if self._peek() != "}":
            self._refuse(Message.of(FormatCode.COMPUTED_EXPANSION), start)
        self._pos += 1
        return self._value_of(name, start) or default

    def _default(self, place: _Place, start: int) -> str:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._refuse(Message.of(FormatCode.NESTED, most=MAX_NESTING), start)
        value = self._piece(QUOTED_DEFAULT if place.in_quotes else DEFAULT, start)
        self._depth -= 1
        return value

    def _value_of(self, name: str, start: int) -> str:
        self._used.add(name)
        known = self._values.get(name)
        if known is None and _SET_BY_BASH.fullmatch(name):
            self._refuse_computed(f"${name}", start)
        return self._spend(known.value) if known else ""

    def _spend(self, text: str) -> str:
        self._budget -= len(text)
        if self._budget < 0:
            self._refuse(Message.of(FormatCode.EXPANDED))
        return text
