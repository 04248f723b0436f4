"""Lists that PVE writes into one string."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

_SEPARATOR = re.compile(r"[;,\s]+")


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Tags and content types: parted by semicolon, comma or space, in their order."""
    return tuple(word for word in _SEPARATOR.split(text) if word)


LARGEST: Final = 1e300

Figure = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""Some doubles write ``"nan"`` or ``"inf"`` into a field, which msgspec takes for a float: here it is no value."""
