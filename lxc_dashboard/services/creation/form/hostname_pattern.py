"""Many hostnames from one pattern: ``web-{01..20}``, ``{a,b,c}.example.org``, ``{db,web}-{1..3}``."""

from __future__ import annotations

import itertools
import re
from typing import Final

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form import readers

NAMES_MAX: Final = 100
TEXT_MAX_CHARS: Final = 255
EXAMPLE: Final = "web-{01..20}"
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_NUMBERS: Final = re.compile(r"([0-9]{1,6})\.\.([0-9]{1,6})")


def hostnames(pattern: str, *, field: str = "hostname_pattern") -> tuple[str, ...]:
    """One to ``NAMES_MAX`` names, all different, in the pattern's order.

    ``{N..M}`` counts up or down, filled with zeros to the width of the longer where either begins with one, as bash does
    it; ``{a,b,c}`` names each. Several braces make all combinations. Raises ``InvalidInputError`` for ``field``.
    """
    try:
        return _expanded(pattern.strip())
    except readers.WrongError as wrong:
        raise InvalidInputError({field: str(wrong)}) from None


def _expanded(pattern: str) -> tuple[str, ...]:
    if not pattern:
        raise readers.WrongError(f"Enter a pattern such as {EXAMPLE}")
    if len(pattern) > TEXT_MAX_CHARS:
        raise readers.WrongError(f"At most {TEXT_MAX_CHARS} characters")
    between, choices = _parts(pattern)
    if any(set(text) & set("{}") for text in between):
        raise readers.WrongError("Each { has a } of its own, and none stands in another")
    if not choices:
        raise readers.WrongError(f"Say in braces what differs, such as {EXAMPLE}")
    many = 1
    for choice in choices:
        many *= len(choice)
    if many > NAMES_MAX:
        raise readers.WrongError(f"At most {NAMES_MAX} at once; these are {many:,}")
    names = [_joined(between, chosen) for chosen in itertools.product(*choices)]
    double = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if double is not None:
        raise readers.WrongError(f"{double} comes twice")
    return tuple(names)


def _parts(pattern: str) -> tuple[list[str], list[list[str]]]:
    """What stands between the braces, and what each of them offers."""
    pieces = _BRACES.split(pattern)
    return pieces[::2], [_choice(piece) for piece in pieces[1::2]]


def _choice(text: str) -> list[str]:
    if found := _NUMBERS.fullmatch(text):
        return _counted(*found.groups())
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 or not all(words):
        raise readers.WrongError(f"{{{text}}} is neither a span such as {{1..5}} nor a list such as {{a,b}}")
    return words


def _counted(first: str, last: str) -> list[str]:
    begin, end = int(first), int(last)
    many = abs(end - begin) + 1
    if many > NAMES_MAX:
        raise readers.WrongError(f"At most {NAMES_MAX} at once; these are {many:,}")
    is_filled = any(len(text) > 1 and text.startswith("0") for text in (first, last))
    width = max(len(first), len(last)) if is_filled else 0
    step = 1 if begin <= end else -1
    return [str(number).zfill(width) for number in range(begin, end + step, step)]


def _joined(between: list[str], chosen: tuple[str, ...]) -> str:
    text = "".join(part for pair in itertools.zip_longest(between, chosen, fillvalue="") for part in pair)
    try:
        return readers.hostname(text)
    except readers.WrongError as wrong:
        raise readers.WrongError(f"{text or 'An empty name'}: {wrong}") from None
