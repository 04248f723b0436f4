"""Shared package buckets, and the templates that refer to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Package, PackageBucket, Template, TemplateRevision, TemplateSource
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message


@dataclass(frozen=True, slots=True)
class BucketRows:
    """A shared bucket with its packages in order."""

    bucket: PackageBucket
    packages: Sequence[Package]


@dataclass(frozen=True, slots=True)
class UseRow:
    """A template whose current revision refers to a shared bucket."""

    bucket_id: UUID
    template: Template
    source: TemplateSource
    revision: TemplateRevision


class BucketRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list(self) -> Sequence[tuple[PackageBucket, int]]:
        """Return all shared buckets by name and manager, with their numbers of packages."""
        count = select(func.count()).select_from(Package).where(col(Package.bucket_id) == col(PackageBucket.id))
        query = select(PackageBucket, count.correlate(PackageBucket).scalar_subquery()).where(_SHARED)
        ordered = query.order_by(col(PackageBucket.name), col(PackageBucket.manager))
        return [(bucket, packages) for bucket, packages in await self._session.execute(ordered)]

    async def get(self, bucket_id: UUID) -> BucketRows:
        """Return a shared bucket. Raises ``NotFoundError``, also for a revision's own bucket."""
        row = await self._session.scalar(select(PackageBucket).where(_SHARED, col(PackageBucket.id) == bucket_id))
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.BUCKET_GONE))
        return BucketRows(row, (await self._packages([bucket_id]))[bucket_id])

    async def named(self, name: str, manager: str) -> PackageBucket | None:
        """Return the shared bucket with this name and manager."""
        conditions = (col(PackageBucket.name) == name, col(PackageBucket.manager) == manager)
        return await self._session.scalar(select(PackageBucket).where(_SHARED, *conditions))

    async def lock(self, bucket_id: UUID) -> BucketRows:
        """Lock a shared bucket until the end of the transaction, also against ``hold``.

        Call it before any template is locked. Raises ``NotFoundError``.
        """
        query = select(PackageBucket).where(_SHARED, col(PackageBucket.id) == bucket_id).with_for_update()
        row = await self._session.scalar(query, execution_options={"populate_existing": True})
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.BUCKET_GONE))
        return BucketRows(row, (await self._packages([bucket_id]))[bucket_id])

    async def hold(self, bucket_ids: Collection[UUID]) -> dict[UUID, BucketRows]:
        """Return the existing buckets by id, and keep them unchanged until the end of the transaction.

        For a revision that copies their packages. Call it before any template is locked.
        """
        query = select(PackageBucket).where(_SHARED, col(PackageBucket.id).in_(bucket_ids))
        in_order = query.order_by(col(PackageBucket.id)).with_for_update(read=True)
        rows = (await self._session.scalars(in_order, execution_options={"populate_existing": True})).all()
        packages = await self._packages([bucket.id for bucket in rows])
        return {bucket.id: BucketRows(bucket, packages[bucket.id]) for bucket in rows}

    async def add(self, bucket: PackageBucket, packages: Sequence[Package]) -> None:
        """Add a shared bucket. Raises ``ConflictError`` where its name and manager exist."""
        self._session.add(bucket)
        await self._session.flush()
        self._session.add_all(packages)
        await self._session.flush()

    async def replace_packages(self, bucket_id: UUID, packages: Sequence[Package]) -> None:
        """Replace all packages of the bucket."""
        await self._session.execute(delete(Package).where(col(Package.bucket_id) == bucket_id))
        self._session.add_all(packages)
        await self._session.flush()

    async def delete(self, bucket_id: UUID) -> None:
        """Delete a shared bucket. Revisions keep its packages as their own. Raises ``NotFoundError``."""
        deletion = (
            delete(PackageBucket).where(_SHARED, col(PackageBucket.id) == bucket_id).returning(col(PackageBucket.id))
        )
        if await self._session.scalar(deletion) is None:
            raise NotFoundError(Message.of(DatabaseCode.BUCKET_GONE))

    async def uses(self, bucket_id: UUID | None = None, *, lock: bool = False) -> Sequence[UseRow]:
        """Return the templates whose current revisions refer to the bucket, or to any bucket, by name.

        Leaves out missing templates. ``lock``: no other transaction adds a revision until this one ends.
        """
        if lock:
            await self._lock_templates(bucket_id)
        shared_id = col(PackageBucket.shared_id)
        query = (
            select(shared_id, Template, TemplateSource, TemplateRevision)
            .join(TemplateRevision, col(TemplateRevision.id) == col(PackageBucket.revision_id))
            .join(Template, _CURRENT)
            .join(TemplateSource, col(TemplateSource.id) == col(Template.source_id))
            .where(shared_id.is_not(None) if bucket_id is None else shared_id == bucket_id)
            .where(col(Template.missing_since).is_(None))
            .order_by(col(Template.name), col(TemplateSource.name))
        )
        rows = await self._session.execute(query, execution_options={"populate_existing": True})
        return [UseRow(used, template, source, revision) for used, template, source, revision in rows if used]

    async def _lock_templates(self, bucket_id: UUID | None) -> None:
        # Lock all that ever referred to the bucket, ordered by id. Only then is the current revision final.
        referring = (
            select(col(TemplateRevision.template_id))
            .join(PackageBucket, col(PackageBucket.revision_id) == col(TemplateRevision.id))
            .where(col(PackageBucket.shared_id) == bucket_id)
        )
        query = select(col(Template.id)).where(col(Template.id).in_(referring)).order_by(col(Template.id))
        await self._session.execute(query.with_for_update())

    async def _packages(self, bucket_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Package]]:
        by_id: dict[UUID, list[Package]] = {bucket_id: [] for bucket_id in bucket_ids}
        query = select(Package).where(col(Package.bucket_id).in_(bucket_ids)).order_by(col(Package.position))
        for package in await self._session.scalars(query):
            by_id[package.bucket_id].append(package)
        return by_id


_SHARED = col(PackageBucket.revision_id).is_(None)
_CURRENT = (col(Template.id) == col(TemplateRevision.template_id)) & (
    col(Template.revision_number) == col(TemplateRevision.number)
)
