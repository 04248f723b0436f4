"""Open second-factor challenges of PVE, stored for two minutes.

The browser holds a random token in a cookie. Its SHA-256 is the key; the challenge is encrypted and bound to it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.errors import CryptoError
from lxc_dashboard.services.auth.sessions import COOKIE_BYTES, COOKIE_CHARS, key_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

LIFETIME_S: Final = 120


class Challenge(msgspec.Struct, frozen=True):
    """``challenge``: PVE's own. ``kinds``: the supported second factors."""

    endpoint_id: UUID
    userid: str
    challenge: str
    kinds: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Challenge(userid={self.userid!r}, kinds={self.kinds!r})"


_DECODER = msgspec.json.Decoder(Challenge)


async def keep(runtime: Runtime, challenge: Challenge) -> str:
    """Store a challenge and return its token."""
    token = secrets.token_urlsafe(COOKIE_BYTES)
    content = msgspec.json.encode(challenge)
    sealed = runtime.keyring.encrypt(content, table="tfa", column="challenge", row=key_of(token))
    await runtime.bus.set(_key(token), sealed.encode(), ttl_s=LIFETIME_S)
    return token


async def find(runtime: Runtime, token: str) -> Challenge | None:
    """The challenge of ``token``; None if there is none or it has expired."""
    if len(token) != COOKIE_CHARS:
        return None
    sealed = await runtime.bus.get(_key(token))
    if sealed is None:
        return None
    try:
        content = runtime.keyring.decrypt(sealed.decode(), table="tfa", column="challenge", row=key_of(token))
    except CryptoError as error:
        log.warning("challenge unreadable", why=str(error))
        return None
    return _DECODER.decode(content)


async def forget(runtime: Runtime, token: str) -> None:
    await runtime.bus.delete(_key(token))


def _key(token: str) -> str:
    return f"auth:challenge:{key_of(token)}"
