"""Batches of creations."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import Container, CreationBatch, Job
from lxc_dashboard.errors import NotFoundError


class BatchRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, batch: CreationBatch) -> CreationBatch:
        """Add the batch, before its jobs. Raises ``ConflictError`` (it exists), ``NotFoundError`` (no such endpoint)."""
        self._session.add(batch)
        await self._session.flush()
        return batch

    async def get(self, batch_id: UUID) -> CreationBatch:
        """Return the batch. Raises ``NotFoundError``."""
        batch = await self._session.get(CreationBatch, batch_id)
        if batch is None:
            raise NotFoundError("This batch does not exist or was removed")
        return batch

    async def runs(self, batch_id: UUID) -> Sequence[tuple[Job, Container]]:
        """Return the batch's jobs and containers, in the order of their creation."""
        joined = select(Job, Container).join(Container, col(Container.id) == col(Job.container_id))
        rows = await self._session.execute(
            joined.where(col(Job.batch_id) == batch_id).order_by(col(Job.created_at)),
            execution_options={"populate_existing": True},
        )
        return [(creation, container) for creation, container in rows]
