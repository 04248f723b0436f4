"""Presets: wizard fields to start from, private to one user or shared with all users of the endpoint. No secrets.

The privilege to share is checked in PVE whenever a preset is shared, and whenever a shared one changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import AuditResult, Preset, now
from lxc_dashboard.db.models.base import storable
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, PrivilegeError, SessionExpiredError
from lxc_dashboard.messages import Message, MessageCode
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.creation.form.fields import FIELDS
from lxc_dashboard.services.creation.form.filled import Filled

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

NAME_CHARS: Final = 63
MAX_PRESETS: Final = 100
# Fields that belong to one container or batch.
OF_ONE: Final = tuple(row.name for row in FIELDS if row.of_one)
# A user may share presets if they may create containers, at all guests or in one pool.
SHARE_PRIVILEGE: Final = "VM.Allocate"
SHARE_PATH: Final = "/vms"
SHARE_BELOW: Final = "/pool"


class PresetCode(MessageCode):
    """Why a preset is not read, stored or shared."""

    OF_ANOTHER = "preset.of_another"
    SHARED_MEANWHILE = "preset.shared_meanwhile"
    UNNAMED = "preset.unnamed"
    BAD_NAME = "preset.bad_name"
    TOO_MANY = "preset.too_many"
    SHARING = "preset.sharing"


@dataclass(frozen=True, slots=True)
class PresetSummary:
    """``mine``: the caller owns it. Only the owner may change it.

    ``shared_path``: where its owner held ``SHARE_PRIVILEGE`` at ``changed_at``; empty if it is private.
    """

    id: UUID
    name: str
    owner: str
    mine: bool
    shared_path: str
    changed_at: datetime


async def list_presets(rt: Runtime, session: Session) -> list[PresetSummary]:
    """List the user's own presets and those shared at their endpoint, by name. Raises ``SessionExpiredError``."""
    _require(session)
    async with rt.db.transaction() as tx:
        rows = await tx.presets.list(session.endpoint_id, session.userid)
    return [_summary(session, preset) for preset in rows]


async def read(rt: Runtime, session: Session, preset_id: UUID) -> tuple[PresetSummary, Filled]:
    """Read a preset that the user may see, with its content.

    Raises ``NotFoundError``, ``SessionExpiredError``, ``InvalidInputError`` for content that this version cannot read.
    """
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _seen(tx, session, preset_id)
        return _summary(session, preset), Filled.from_json(preset.fields)


async def sharing_path(rt: Runtime, session: Session) -> str:
    """Where the user may create containers: ``/vms``, else a pool such as ``/pool/dev``. Empty: they may not share.

    ``GET /access/permissions``. Raises ``SessionExpiredError`` and PVE's errors.
    """
    _require(session)
    return await privileges.path_of_any(rt, session, SHARE_PRIVILEGE, SHARE_PATH, SHARE_BELOW)


async def save(rt: Runtime, session: Session, name: str, filled: Filled, *, shared: bool = False) -> UUID:
    """Store a new preset, without the fields of a single container (``OF_ONE``).

    Raises ``InvalidInputError`` for ``name``: empty, invalid, used by another of the user's presets, or ``MAX_PRESETS``
    reached. With ``shared``, also raises as ``share``.
    """
    _require(session)
    async with _named(name) as wanted:
        path = await _require_sharing(rt, session, wanted) if shared else ""
        async with rt.db.transaction() as tx:
            own = [p for p in await tx.presets.list(session.endpoint_id, session.userid) if p.owner == session.userid]
            if len(own) >= MAX_PRESETS:
                raise InvalidInputError({"name": Message.of(PresetCode.TOO_MANY, most=MAX_PRESETS)})
            preset = await tx.presets.add(
                Preset(
                    endpoint_id=session.endpoint_id,
                    owner=session.userid,
                    name=wanted,
                    shared_path=path,
                    fields=_fields(filled),
                )
            )
            if path:
                await _audit(tx, session, "preset.share", preset.name, right=path)
            return preset.id


async def rename(rt: Runtime, session: Session, preset_id: UUID, name: str) -> None:
    """Raises ``InvalidInputError`` for ``name`` as ``save``, and the other errors as ``overwrite``."""
    async with _named(name) as wanted, _changing(rt, session, preset_id) as (tx, preset, _):
        before = preset.name
        await tx.presets.update(preset_id, name=wanted)
        if preset.shared_path and before != wanted:
            await _audit(tx, session, "preset.rename", wanted, before=before, right=preset.shared_path)


async def share(rt: Runtime, session: Session, preset_id: UUID, *, shared: bool) -> None:
    """Share a preset with all users of the endpoint, or make it private again.

    Raises ``NotFoundError``, ``ConflictError`` for another user's preset. With ``shared``, raises ``PrivilegeError``
    (audited) if the user holds ``SHARE_PRIVILEGE`` nowhere.
    """
    _require(session)
    if shared:
        await _share(rt, session, preset_id)
        return
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        if preset.shared_path:
            await tx.presets.update(preset_id, shared_path="")
            await _audit(tx, session, "preset.unshare", preset.name)


async def overwrite(rt: Runtime, session: Session, preset_id: UUID, filled: Filled) -> None:
    """Replace a preset's content.

    Raises ``NotFoundError``, ``ConflictError`` for another user's preset. For a shared one, raises ``PrivilegeError``
    (audited) if its owner no longer holds ``SHARE_PRIVILEGE``.
    """
    async with _changing(rt, session, preset_id) as (tx, preset, _):
        await tx.presets.update(preset_id, fields=_fields(filled))
        if preset.shared_path:
            await _audit(tx, session, "preset.change", preset.name, right=preset.shared_path)


async def delete(rt: Runtime, session: Session, preset_id: UUID) -> None:
    """Raises ``NotFoundError``, ``ConflictError`` for another user's preset."""
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        await tx.presets.delete(preset_id)
        if preset.shared_path:
            await _audit(tx, session, "preset.delete", preset.name)


async def _share(rt: Runtime, session: Session, preset_id: UUID) -> None:
    async with _changing(rt, session, preset_id, sharing=True) as (tx, preset, path):
        if not preset.shared_path:
            await tx.presets.update(preset_id, shared_path=path)
            await _audit(tx, session, "preset.share", preset.name, right=path)


@asynccontextmanager
async def _changing(
    rt: Runtime, session: Session, preset_id: UUID, *, sharing: bool = False
) -> AsyncIterator[tuple[Transaction, Preset, str]]:
    """Open a transaction to change the user's own preset, and yield it with the preset and its ``sharing_path``.

    PVE is asked for the path before the transaction, and only if the preset is shared or will be (``sharing``).
    """
    _require(session)
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
    path = await _require_sharing(rt, session, preset.name) if sharing or preset.shared_path else ""
    async with rt.db.transaction() as tx:
        preset = await _own(tx, session, preset_id)
        if preset.shared_path and not path:
            raise ConflictError(Message.of(PresetCode.SHARED_MEANWHILE, name=preset.name))
        if preset.shared_path:
            await tx.presets.update(preset_id, shared_path=path)
        yield tx, preset, path


async def _require_sharing(rt: Runtime, session: Session, name: str) -> str:
    """Return ``sharing_path``. If it is empty, write to the audit and raise ``PrivilegeError``."""
    path = await sharing_path(rt, session)
    if not path:
        async with rt.db.transaction() as tx:
            await _audit(tx, session, "preset.share", name, result=AuditResult.REFUSED)
        purpose = Message.of(PresetCode.SHARING)
        raise PrivilegeError(SHARE_PRIVILEGE, f"{SHARE_PATH} or {SHARE_BELOW}/NAME", purpose=purpose)
    return path


def _summary(session: Session, preset: Preset) -> PresetSummary:
    return PresetSummary(
        id=preset.id,
        name=preset.name,
        owner=preset.owner,
        mine=preset.owner == session.userid,
        shared_path=preset.shared_path,
        changed_at=preset.updated_at,
    )


def _require(session: Session) -> None:
    if now() >= session.ends_at:
        raise SessionExpiredError


def _fields(filled: Filled) -> dict[str, object]:
    """The JSON to store. Raises ``InvalidInputError`` for content that could not be read again."""
    fields: dict[str, object] = storable(filled.without(*OF_ONE).to_json())
    Filled.from_json(fields)
    return fields


async def _seen(tx: Transaction, session: Session, preset_id: UUID) -> Preset:
    preset = await tx.presets.get(preset_id)
    if preset.endpoint_id != session.endpoint_id or not (preset.shared_path or preset.owner == session.userid):
        raise NotFoundError(Message.of(DatabaseCode.PRESET_GONE))
    return preset


async def _own(tx: Transaction, session: Session, preset_id: UUID) -> Preset:
    preset = await _seen(tx, session, preset_id)
    if preset.owner != session.userid:
        raise ConflictError(Message.of(PresetCode.OF_ANOTHER, name=preset.name, owner=preset.owner))
    return preset


@asynccontextmanager
async def _named(name: str) -> AsyncIterator[str]:
    """Normalize and check ``name`` around the code that stores it. Report a name in use as a fault of the field."""
    wanted = " ".join(name.split())
    if not wanted:
        raise InvalidInputError({"name": Message.of(PresetCode.UNNAMED)})
    if len(wanted) > NAME_CHARS or not wanted.isprintable():
        raise InvalidInputError({"name": Message.of(PresetCode.BAD_NAME, most=NAME_CHARS)})
    try:
        yield wanted
    except ConflictError as error:
        if error.reason.code == DatabaseCode.PRESET_NAME:
            raise InvalidInputError({"name": error.reason}) from error
        raise


async def _audit(
    tx: Transaction,
    session: Session,
    action: str,
    name: str,
    *,
    result: AuditResult = AuditResult.OK,
    **detail: str,
) -> None:
    """Audit a change of a shared preset, because other users create containers from it.

    ``detail``: ``before`` is the old name, ``right`` the path of the privilege.
    """
    await tx.audit.append(
        userid=session.userid,
        endpoint_name=session.endpoint_name,
        action=action,
        subject=f"preset {name}",
        address=session.address,
        result=result,
        detail=detail,
    )
