"""Presets: stored wizard fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Preset, now
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message


class PresetRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, preset: Preset) -> Preset:
        """Add a preset. Raises ``ConflictError`` where its owner has one with this name."""
        self._session.add(preset)
        await self._session.flush()
        return preset

    async def get(self, preset_id: UUID) -> Preset:
        """Return the preset. Raises ``NotFoundError``."""
        preset = await self._session.get(Preset, preset_id)
        if preset is None:
            raise NotFoundError(Message.of(DatabaseCode.PRESET_GONE))
        return preset

    async def list(self, endpoint_id: UUID, userid: str) -> Sequence[Preset]:
        """Return the user's own and the shared presets of the endpoint, by name."""
        is_visible = (col(Preset.owner) == userid) | (col(Preset.shared_path) != "")
        presets = select(Preset).where(col(Preset.endpoint_id) == endpoint_id, is_visible)
        presets = presets.order_by(col(Preset.name), col(Preset.owner))
        return (await self._session.scalars(presets)).all()

    async def update(
        self,
        preset_id: UUID,
        *,
        name: str | None = None,
        shared_path: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Preset:
        """Change the given fields. Raises ``NotFoundError``, ``ConflictError`` as ``add``."""
        preset = await self.get(preset_id)
        if name is not None:
            preset.name = name
        if shared_path is not None:
            preset.shared_path = shared_path
        if fields is not None:
            preset.fields = dict(fields)
        preset.updated_at = now()
        await self._session.flush()
        return preset

    async def delete(self, preset_id: UUID) -> None:
        """Delete the preset. Raises ``NotFoundError``."""
        deletion = delete(Preset).where(col(Preset.id) == preset_id).returning(col(Preset.id))
        if await self._session.scalar(deletion) is None:
            raise NotFoundError(Message.of(DatabaseCode.PRESET_GONE))
