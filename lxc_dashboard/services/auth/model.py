"""The session of a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

IDLE_LIFETIME = timedelta(hours=2)
ABSOLUTE_LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in PVE user at one endpoint, or the owner of an API token (``tokenid``: ``user@realm!name``).

    ``id`` may be shown and logged; it is constant for a token. ``key``: SHA-256 of the cookie's value, which is not stored.
    ``ticket_issued_at``: epoch seconds of this process's clock. Every service that acts for a user takes the session as an
    argument.
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
        """The token's id, which may have fewer privileges than its user, else the userid."""
        return self.tokenid or self.userid

    @property
    def ends_at(self) -> datetime:
        """When the session ends in any case: 12 h after the sign-in."""
        return self.signed_in_at + ABSOLUTE_LIFETIME
