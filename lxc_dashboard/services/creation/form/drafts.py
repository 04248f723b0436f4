"""Drafts of the wizard, encrypted in Redis, without secrets.

Each user has one draft per endpoint, and one more for each failed job that they replace (``edits``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.errors import CryptoError
from lxc_dashboard.services.creation.form.filled import Filled, without_secrets

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

LIFETIME: Final = timedelta(days=30)
MAX_BYTES: Final = 256 << 10


class Draft(msgspec.Struct, frozen=True):
    """``reached``: the number of steps that are done."""

    filled: Filled
    kept_at: datetime
    reached: int = 0


_DECODER: Final = msgspec.json.Decoder(Draft)


async def keep(rt: Runtime, session: Session, filled: Filled, *, reached: int = 0, edits: UUID | None = None) -> bool:
    """Store a draft. False if it is too large: the old one stays. Raises ``ServiceUnavailableError``."""
    content = msgspec.json.encode(Draft(without_secrets(filled), datetime.now(UTC), reached))
    if len(content) > MAX_BYTES or _read(content) is None:
        return False
    key = _key(session, edits)
    sealed = rt.keyring.encrypt(content, table="wizard", column="draft", row=key)
    await rt.bus.set(key, sealed.encode(), ttl_s=LIFETIME.total_seconds())
    return True


async def find(rt: Runtime, session: Session, *, edits: UUID | None = None) -> Draft | None:
    """The user's draft. None if there is none, or if it cannot be read."""
    key = _key(session, edits)
    sealed = await rt.bus.get(key)
    if sealed is None:
        return None
    try:
        content = rt.keyring.decrypt(sealed.decode(), table="wizard", column="draft", row=key)
    except CryptoError as error:
        log.warning("draft of the wizard cannot be decrypted", why=str(error))
        return None
    return _read(content)


async def discard(rt: Runtime, session: Session, *, edits: UUID | None = None) -> None:
    await rt.bus.delete(_key(session, edits))


def _key(session: Session, edits: UUID | None) -> str:
    own = f"wizard:draft:{session.endpoint_id}:{session.userid}"
    return f"{own}:{edits}" if edits else own


def _read(content: bytes) -> Draft | None:
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError as error:
        log.warning("draft of the wizard is of another shape", why=str(error))
        return None
