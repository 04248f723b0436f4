"""Root passwords that nobody has to think of."""

from __future__ import annotations

import secrets
import string
from typing import Final

LENGTH: Final = 24
_LETTERS: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))


def generate() -> str:
    """Letters and digits that are not taken for each other, 137 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(LENGTH))
