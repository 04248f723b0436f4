"""Values that several schemas share."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

_SEPARATOR = re.compile(r"[;,\s]+")


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Split tags or content types at semicolons, commas and spaces, in their order."""
    return tuple(word for word in _SEPARATOR.split(text) if word)


LARGEST: Final = 1e300

Figure = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""A float without NaN and infinity. Some stand-ins for PVE send ``"nan"`` or ``"inf"``, which become no value here."""
