"""In which process of the web server each tab was seen last: a tab's state lives in one process, and moves to no other."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus

# Longer than a process keeps the state of a tab that went elsewhere: until it finds the old socket silent (60 s), and 45 s more
# (``tabs``). Each new tab is an entry in Valkey.
REMEMBERED_S: Final = 600.0


class Seats:
    """One per web process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._here = secrets.token_bytes(8)

    async def take(self, token: str) -> bool:
        """Called when a tab connects. Whether it was elsewhere since it was here: then its state here is an old one.

        Raises ``ServiceUnavailableError``.
        """
        key = f"tab:{hashlib.sha256(token.encode()).hexdigest()}"
        before = await self._bus.swap(key, self._here, ttl_s=REMEMBERED_S)
        return before not in {None, self._here}
