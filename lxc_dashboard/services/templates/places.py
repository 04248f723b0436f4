"""Where a piece of a word may stand in bash, and what is special there."""

from __future__ import annotations

import re
from dataclasses import dataclass

# In quotes within quotes, bash takes the quotes away before it looks how far a name goes.
JOINED = re.compile(r'(?:\\\n)*"(?:"|\\\n)*[A-Za-z0-9_]')
PLAIN_PAIR = re.compile(r"'[^'\"\\$`}]*'")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a piece of a word stands decides what is special there: ``ends`` the piece, may be escaped, or is plain."""

    ends: str
    plain: re.Pattern[str]
    in_quotes: bool = True
    escapable: str = '$`"\\}'


VALUE = Place(" \t\n;&|<>()", re.compile(r"[^ \t\n'\"\\$`;&|<>(){~]+"), in_quotes=False)
DEFAULT = Place("}", re.compile(r"[^}'\"\\$`<>{~]+"), in_quotes=False)
QUOTED = Place('"', re.compile(r'[^"\\$`]+'), escapable='$`"\\')
QUOTED_DEFAULT = Place("}", re.compile(r"[^}'\"\\$`<>]+"))
QUOTED_IN_QUOTED_DEFAULT = Place('"', QUOTED.plain)
