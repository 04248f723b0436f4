"""Presets: wizard fields to start from, of one user at an endpoint, or shared with all who use it. They hold no secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.errors import TAKEN as TAKEN_BY_CONSTRAINT
from lxc_dashboard.db.models import AuditResult, Preset, now
from lxc_dashboard.db.storable import storable
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, SessionExpiredError
from lxc_dashboard.services.creation.filled import Filled

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

NAME_CHARS: Final = 63
MAX_PRESETS: Final = 100
# Of one container or batch alone: the next one has its own.
OF_ONE: Final = ("hostname", "hostname_pattern", "vmid", "ipv4_address", "ipv6_address")
TAKEN: Final = TAKEN_BY_CONSTRAINT["uq_preset_endpoint_id_owner_name"]
_GONE: Final = "This preset does not exist, or not any more"


@dataclass(frozen=True, slots=True)
class PresetSummary:
    """``mine``: the caller's own, which he alone may change."""

    id: UUID
    name: str
    owner: str
    shared: bool
    mine: bool


async def list_presets(rt: Runtime, session: Session) -> list[PresetSummary]:
    """The user's own and those shared at his endpoint, by name. Raises ``SessionExpiredError``."""
    _require(session)
    async with rt.db.transaction() as tx:
        rows = await tx.presets.list(session.endpoint_id, session.userid)
    return [PresetSummary(p.id, p.name, p.owner, p.shared, p.owner == session.userid) for p in rows]


async def read(rt: Runtime, session: Session, preset_id: UUID) -> tuple[str, Filled]:
    """Name and content of one that the user may see.

    Raises ``NotFoundError``, ``InvalidInputError`` for one that cannot be read any more, ``SessionExpiredError``.
    """
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _seen(tx, session, preset_id)
        return preset.name, Filled.from_json(preset.fields)


async def save(rt: Runtime, session: Session, name: str, filled: Filled, *, shared: bool = False) -> UUID:
    """A new one, without what is one container's alone (``OF_ONE``).

    Raises ``InvalidInputError`` (``name``: empty, too long, taken by another of the user's, or one too many).
    """
    _require(session)
    async with _named(name) as wanted, rt.db.transaction() as tx:
        own = [p for p in await tx.presets.list(session.endpoint_id, session.userid) if p.owner == session.userid]
        if len(own) >= MAX_PRESETS:
            raise InvalidInputError({"name": f"You have {MAX_PRESETS} presets: delete one first"})
        preset = await tx.presets.add(
            Preset(
                endpoint_id=session.endpoint_id,
                owner=session.userid,
                name=wanted,
                shared=shared,
                fields=_fields(filled),
            )
        )
        if shared:
            await _audit(tx, session, "preset.share", preset.name)
        return preset.id


async def rename(rt: Runtime, session: Session, preset_id: UUID, name: str) -> None:
    """Raises ``InvalidInputError`` (``name``) as ``save``, ``NotFoundError``, ``ConflictError`` for somebody else's."""
    _require(session)
    async with _named(name) as wanted, rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        before = preset.name
        await tx.presets.update(preset_id, name=wanted)
        if preset.shared and before != wanted:
            await _audit(tx, session, "preset.rename", wanted, before=before)


async def share(rt: Runtime, session: Session, preset_id: UUID, *, shared: bool) -> None:
    """Shows it to all who use the endpoint, or to its owner alone. Raises ``NotFoundError``, ``ConflictError`` as ``rename``."""
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        if preset.shared != shared:
            await tx.presets.update(preset_id, shared=shared)
            await _audit(tx, session, "preset.share" if shared else "preset.unshare", preset.name)


async def overwrite(rt: Runtime, session: Session, preset_id: UUID, filled: Filled) -> None:
    """Has it hold this from now on. Raises ``NotFoundError``, ``ConflictError`` as ``rename``."""
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        await tx.presets.update(preset_id, fields=_fields(filled))
        if preset.shared:
            await _audit(tx, session, "preset.change", preset.name)


async def delete(rt: Runtime, session: Session, preset_id: UUID) -> None:
    """Raises ``NotFoundError``, ``ConflictError`` as ``rename``."""
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        await tx.presets.delete(preset_id)
        if preset.shared:
            await _audit(tx, session, "preset.delete", preset.name)


def _require(session: Session) -> None:
    if now() >= session.ends_at:
        raise SessionExpiredError


def _fields(filled: Filled) -> dict[str, object]:
    """What is stored. Raises ``InvalidInputError`` for what would not be read again."""
    fields: dict[str, object] = storable(filled.without(*OF_ONE).to_json())
    Filled.from_json(fields)
    return fields


async def _seen(tx: Transaction, session: Session, preset_id: UUID) -> Preset:
    preset = await tx.presets.get(preset_id)
    if preset.endpoint_id != session.endpoint_id or not (preset.shared or preset.owner == session.userid):
        raise NotFoundError(_GONE)
    return preset


async def _own(tx: Transaction, session: Session, preset_id: UUID) -> Preset:
    preset = await _seen(tx, session, preset_id)
    if preset.owner != session.userid:
        raise ConflictError(
            f"{preset.name} is {preset.owner}'s preset: only its owner changes it. Save one of your own"
        )
    return preset


@asynccontextmanager
async def _named(name: str) -> AsyncIterator[str]:
    """Around the storing of a name, which it cleans and checks: another preset of the same name is a fault of the field."""
    wanted = " ".join(name.split())
    if not wanted:
        raise InvalidInputError({"name": "Give it a name"})
    if len(wanted) > NAME_CHARS or not wanted.isprintable():
        raise InvalidInputError({"name": f"{NAME_CHARS} characters at most, and only such as can be seen"})
    try:
        yield wanted
    except ConflictError as error:
        if error.user_message == TAKEN:
            raise InvalidInputError({"name": TAKEN}) from error
        raise


async def _audit(tx: Transaction, session: Session, action: str, name: str, *, before: str = "") -> None:
    """Of shared ones alone: others act on what they say."""
    await tx.audit.append(
        userid=session.userid,
        endpoint_name=session.endpoint_name,
        action=action,
        subject=f"preset {name}",
        address=session.address,
        result=AuditResult.OK,
        detail={"before": before} if before else None,
    )
