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

from lxc_dashboard.db.models import Container, Creation, Template, TemplateRevision

MADE: Final = ["create.container"]


@dataclass(frozen=True, slots=True)
class KnownGuest:
    """``creation_id`` is the latest of its ``creations``, which ended at ``ended_at``. ``was_made``: it made the container in PVE."""

    container_id: UUID
    vmid: int
    lifecycle: str
    address: str
    template: str
    revision: int
    creation_id: UUID | None
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
        select(col(Creation.container_id), func.array_agg(col(Creation.id)).label("ids"))
        .where(col(Creation.endpoint_id) == endpoint_id)
        .group_by(col(Creation.container_id))
        .subquery()
    )


def _latest(endpoint_id: UUID) -> Subquery:
    """For each container its latest creation, whether that one has made it and has ended, and when it ended."""
    made = and_(col(Creation.checkpoint)["done"].contains(MADE), col(Creation.finished_at).is_not(None))
    return (
        select(col(Creation.container_id), col(Creation.id), made.label("made"), col(Creation.finished_at))
        .ext(distinct_on(col(Creation.container_id)))
        .where(col(Creation.endpoint_id) == endpoint_id)
        .order_by(col(Creation.container_id), col(Creation.created_at).desc())
        .subquery()
    )
