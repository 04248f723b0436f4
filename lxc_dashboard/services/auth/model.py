"""Who is signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

IDLE_LIFETIME = timedelta(hours=2)
ABSOLUTE_LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in PVE user at one endpoint, or one who sends an API token along (``tokenid``: ``user@realm!name``).

    ``id`` may be shown and logged; the cookie's value is another one and stands nowhere. Of a token it is always the same.

    ``key`` is the SHA-256 of that value, ``ticket_issued_at`` epoch seconds of our own clock. Every service that acts for a user takes it as an argument: forgetting it is a type error.
    """

    id: UUID
    endpoint_id: UUID
    endpoint_name: str
    userid: str
    signed_in_at: datetime
    address: str = ""
    user_agent: str = ""
    ticket: str = field(default="", repr=False)
    csrf_token: str = field(default="", repr=False)
    ticket_issued_at: float = 0.0
    key: str = field(default="", repr=False)
    tokenid: str = ""
    token_secret: str = field(default="", repr=False)

    @property
    def authid(self) -> str:
        """As whom PVE knows the caller: the token where there is one, whose rights may be fewer than its user's."""
        return self.tokenid or self.userid

    @property
    def ends_at(self) -> datetime:
        """The last moment of this session, whatever it does: 12 h after the last real sign-in."""
        return self.signed_in_at + ABSOLUTE_LIFETIME
