from __future__ import annotations

from msgspec import Struct, field


class Domain(Struct, frozen=True):
    """A realm of ``GET /access/domains``."""

    realm: str
    type: str = ""
    comment: str = ""
    default: bool = False
    tfa: str | None = None


class SignIn(Struct, frozen=True):
    """``POST /access/ticket``. With ``need_tfa`` the ticket is only the challenge of the second step."""

    ticket: str
    username: str = ""
    csrf_token: str = field(default="", name="CSRFPreventionToken")
    need_tfa: bool = field(default=False, name="NeedTFA")
    clustername: str = ""

    def __repr__(self) -> str:
        return f"SignIn(username={self.username!r}, need_tfa={self.need_tfa})"
