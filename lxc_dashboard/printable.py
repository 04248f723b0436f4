"""Escapes control characters, and marks that hide or reorder text, in text from strangers."""

from __future__ import annotations

import re
from typing import Any, Final

# C0 and C1, soft hyphen, Arabic letter mark, zero-width and direction marks, line and paragraph separators, embeddings,
# invisible operators and isolates, byte order mark, annotations, tags.
_HIDDEN: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e007f]"
)
_HIDDEN_IN_LINES: Final = re.compile(f"(?![\\n\\t]){_HIDDEN.pattern}")


def has_hidden(text: str) -> bool:
    """Whether ``printable`` would change ``text``."""
    return _HIDDEN.search(text) is not None


def printable(text: str) -> str:
    r"""Return ``text`` on one line, with each hidden character as ``\x1b`` or ``\u202e``."""
    return _HIDDEN.sub(_escape, text)


def printable_lines(text: str) -> str:
    """As ``printable``, but keep line ends and tabs."""
    return _HIDDEN_IN_LINES.sub(_escape, text)


def all_printable(value: Any) -> Any:
    """Apply ``printable`` to every text in ``value``, keys included."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {all_printable(key): all_printable(item) for key, item in value.items()}
        case list() | tuple():
            return [all_printable(item) for item in value]
        case _:
            return value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004
