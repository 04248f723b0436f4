"""What the live list needs of the product's own knowledge, in one query."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Subquery, and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import Container, Job, Template, TemplateRevision
from lxc_dashboard.db.repositories.leases import is_creation

MADE: Final = ["create.container"]


@dataclass(frozen=True, slots=True)
class KnownGuest:
    """``job_id`` is the latest of its ``creations``, which ended at ``ended_at``. ``was_made``: it made the container in PVE."""

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
        """The existing containers of an endpoint, with template, revision number and creations; all, or those named."""
        runs, latest = _runs(endpoint_id), _latest(endpoint_id)
        wanted = [col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None)]
        if container_ids is not None:
            wanted.append(col(Container.id).in_(container_ids))
        query = (
            select(
                col(Container.id),
                col(Container.vmid),
                col(Container.lifecycle),
                col(Container.address),
                col(Template.name),
                col(TemplateRevision.number),
                latest.c.id,
                runs.c.ids,
                latest.c.made,
                latest.c.finished_at,
            )
            .outerjoin(TemplateRevision, col(TemplateRevision.id) == col(Container.template_revision_id))
            .outerjoin(Template, col(Template.id) == col(TemplateRevision.template_id))
            .outerjoin(latest, latest.c.container_id == col(Container.id))
            .outerjoin(runs, runs.c.container_id == col(Container.id))
            .where(*wanted)
        )
        return [
            KnownGuest(
                container_id,
                vmid,
                life,
                address,
                name or "",
                number or 0,
                run,
                frozenset(ids or ()),
                bool(made),
                ended_at,
            )
            for container_id, vmid, life, address, name, number, run, ids, made, ended_at in await self._session.execute(
                query
            )
        ]


def _runs(endpoint_id: UUID) -> Subquery:
    """For each container the ids of all its creations."""
    return (
        select(col(Job.container_id), func.array_agg(col(Job.id)).label("ids"))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .group_by(col(Job.container_id))
        .subquery()
    )


def _latest(endpoint_id: UUID) -> Subquery:
    """For each container its latest creation, whether that one has made it and has ended, and when it ended."""
    made = and_(col(Job.checkpoint)["done"].contains(MADE), col(Job.finished_at).is_not(None))
    return (
        select(col(Job.container_id), col(Job.id), made.label("made"), col(Job.finished_at))
        .ext(distinct_on(col(Job.container_id)))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .order_by(col(Job.container_id), col(Job.created_at).desc())
        .subquery()
    )
