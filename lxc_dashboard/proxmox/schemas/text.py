"""Lists that PVE writes into one string."""

from __future__ import annotations

import re

_SEPARATOR = re.compile(r"[;,\s]+")


def words(text: str) -> tuple[str, ...]:
    """Tags and content types: parted by semicolon, comma or space, in their order."""
    return tuple(word for word in _SEPARATOR.split(text) if word)
