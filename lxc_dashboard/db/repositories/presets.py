"""Wizard fields to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import Preset, now
from lxc_dashboard.errors import NotFoundError


class PresetRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, preset: Preset) -> Preset:
        """Raises ``ConflictError`` where its owner has one of this name."""
        self._session.add(preset)
        await self._session.flush()
        return preset

    async def get(self, preset_id: UUID) -> Preset:
        """Raises ``NotFoundError``."""
        preset = await self._session.get(Preset, preset_id)
        if preset is None:
            raise NotFoundError("This preset does not exist or was removed")
        return preset

    async def list(self, endpoint_id: UUID, userid: str) -> Sequence[Preset]:
        """The user's own and the shared ones of the endpoint, by name."""
        seen = (col(Preset.owner) == userid) | (col(Preset.shared_path) != "")
        presets = select(Preset).where(col(Preset.endpoint_id) == endpoint_id, seen)
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
        """Changes what is given. Raises ``NotFoundError``, ``ConflictError`` as ``add``."""
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
        """Raises ``NotFoundError``."""
        gone = delete(Preset).where(col(Preset.id) == preset_id).returning(col(Preset.id))
        if await self._session.scalar(gone) is None:
            raise NotFoundError("This preset does not exist or was removed")
