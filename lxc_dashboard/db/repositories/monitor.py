"""The product's data for the live list, in one query."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Subquery, Uuid, and_, false, func, select
from sqlalchemy.dialects.postgresql import array, distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import Container, Job, Template, TemplateRevision
from lxc_dashboard.db.repositories.leases import is_creation

MADE: Final = ["create.container"]


@dataclass(frozen=True, slots=True)
class KnownGuest:
    """``job_id`` is the latest of its ``creations``, which ended at ``ended_at``. ``was_made``: it made the
    container.
    """

    container_id: UUID
    vmid: int
    lifecycle: str
    address: str
    template: str
    revision: int
    job_id: UUID | None
    creations: frozenset[UUID] = frozenset()
    was_made: bool = False
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None


class MonitorRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def known(self, endpoint_id: UUID, container_ids: Collection[UUID] | None = None) -> list[KnownGuest]:
        """Return the endpoint's existing containers, or those of ``container_ids``."""
        query = _known(endpoint_id)
        if container_ids is not None:
            query = query.where(col(Container.id).in_(container_ids))
        rows = (await self._session.execute(query)).mappings()
        return [KnownGuest(**{**row, "creations": frozenset(row["creations"])}) for row in rows]


def _known(endpoint_id: UUID) -> Select[Any]:
    """Select the fields of ``KnownGuest`` for the endpoint's existing containers."""
    runs, latest = _runs(endpoint_id), _latest(endpoint_id)
    return (
        select(
            col(Container.id).label("container_id"),
            col(Container.vmid),
            col(Container.lifecycle),
            col(Container.address),
            func.coalesce(Template.name, "").label("template"),
            func.coalesce(TemplateRevision.number, 0).label("revision"),
            latest.c.id.label("job_id"),
            func.coalesce(runs.c.ids, array([], type_=Uuid())).label("creations"),
            func.coalesce(latest.c.made, false()).label("was_made"),
            latest.c.finished_at.label("ended_at"),
        )
        .outerjoin(TemplateRevision, col(TemplateRevision.id) == col(Container.template_revision_id))
        .outerjoin(Template, col(Template.id) == col(TemplateRevision.template_id))
        .outerjoin(latest, latest.c.container_id == col(Container.id))
        .outerjoin(runs, runs.c.container_id == col(Container.id))
        .where(col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None))
    )


def _runs(endpoint_id: UUID) -> Subquery:
    """Select the ids of all creations of each container."""
    return (
        select(col(Job.container_id), func.array_agg(col(Job.id)).label("ids"))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .group_by(col(Job.container_id))
        .subquery()
    )


def _latest(endpoint_id: UUID) -> Subquery:
    """Select the latest creation of each container, whether it made the container, and its end."""
    made = and_(col(Job.checkpoint)["done"].contains(MADE), col(Job.finished_at).is_not(None))
    return (
        select(col(Job.container_id), col(Job.id), made.label("made"), col(Job.finished_at))
        .ext(distinct_on(col(Job.container_id)))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .order_by(col(Job.container_id), col(Job.created_at).desc())
        .subquery()
    )
