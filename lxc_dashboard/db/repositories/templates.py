"""Templates, where they come from, and their immutable revisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import SQLModel, col

from lxc_dashboard.db.models import (
    Package,
    PackageBucket,
    SourceKind,
    Template,
    TemplateFile,
    TemplateRevision,
    TemplateScript,
    TemplateSource,
)
from lxc_dashboard.errors import ConflictError, NotFoundError

BATCH_REVISIONS: Final = 50
HEAD_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class RevisionRows:
    """A revision with all that belongs to it."""

    revision: TemplateRevision
    scripts: Sequence[TemplateScript] = ()
    files: Sequence[TemplateFile] = ()
    buckets: Sequence[tuple[PackageBucket, Sequence[Package]]] = ()


@dataclass(frozen=True, slots=True)
class TemplateRows:
    """A template as lists show it: its source, its current revision, and how many parts that has."""

    template: Template
    source: TemplateSource
    revision: TemplateRevision
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a revision without its content, but for its ``head`` of ``HEAD_BYTES`` at most."""

    name: str
    target_dir: str
    policy: str
    mode: int
    owner: str
    sha256: str
    size: int
    head: bytes


class TemplateRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    # Sources

    async def source(self, name: str, kind: SourceKind, location: str) -> TemplateSource:
        """The source ``name``, made where there was none; what it was known by stays as it is."""
        new = TemplateSource(name=name, kind=kind.value, location=location).model_dump()
        await self._session.execute(insert(TemplateSource).values(new).on_conflict_do_nothing())
        return (await self._session.scalars(select(TemplateSource).where(col(TemplateSource.name) == name))).one()

    async def own_source(self, kind: SourceKind) -> TemplateSource:
        """The one source of templates that live in the dashboard itself, made where there was none.

        Raises ``ConflictError`` where a source of another kind has its name.
        """
        its = select(TemplateSource).where(col(TemplateSource.kind) == kind.value).order_by(col(TemplateSource.id))
        source = await self._session.scalar(its.limit(1)) or await self.source(kind.value, kind, "")
        if source.kind != kind.value:
            raise ConflictError(f"A {source.kind} source is called {source.name}: rename or remove it first")
        return source

    async def lock_source(self, source_id: UUID) -> TemplateSource:
        """The source as it is now, until the end of the transaction nobody else's. Raises ``NotFoundError``."""
        locked = select(TemplateSource).where(col(TemplateSource.id) == source_id).with_for_update()
        source = await self._session.scalar(locked, execution_options={"populate_existing": True})
        if source is None:
            raise NotFoundError("This source of templates does not exist or was removed")
        return source

    async def sources(self) -> Sequence[TemplateSource]:
        """All, by name."""
        return (await self._session.scalars(select(TemplateSource).order_by(col(TemplateSource.name)))).all()

    # Templates

    async def get(self, template_id: UUID) -> TemplateRows:
        """Raises ``NotFoundError``."""
        rows = await self._current(col(Template.id) == template_id)
        if not rows:
            raise NotFoundError("This template does not exist or was removed")
        return rows[0]

    async def lock(self, template_id: UUID) -> TemplateRows:
        """As ``get``, and until the end of the transaction nobody else changes the template or any of its source."""
        source_id = await self._session.scalar(select(col(Template.source_id)).where(col(Template.id) == template_id))
        if source_id is not None:
            await self.lock_source(source_id)
        mine = select(Template).where(col(Template.id) == template_id).with_for_update()
        await self._session.scalar(mine, execution_options={"populate_existing": True})
        return await self.get(template_id)

    async def named(self, source_id: UUID, name: str) -> TemplateRows | None:
        """The source's template of that name, missing or not."""
        rows = await self._current(col(Template.source_id) == source_id, col(Template.name) == name)
        return rows[0] if rows else None

    async def names(self, source_id: UUID) -> set[str]:
        """Of the source's templates, missing or not."""
        names = select(col(Template.name)).where(col(Template.source_id) == source_id)
        return set((await self._session.scalars(names)).all())

    async def delete(self, template_id: UUID) -> None:
        """With all revisions. Raises ``ConflictError`` where a job refers to one."""
        await self._session.execute(delete(Template).where(col(Template.id) == template_id))

    async def list(self) -> Sequence[TemplateRows]:
        """All, by name, the missing ones too, but for those that were deleted here."""
        return await self._current(_SHOWN)

    async def names_of_source(self, source_id: UUID) -> set[str]:
        """Of all its templates, the missing ones too."""
        return set(await self._session.scalars(select(col(Template.name)).where(col(Template.source_id) == source_id)))

    async def of_source(self, source_id: UUID) -> Sequence[tuple[Template, TemplateRevision]]:
        """The source's templates with their current revisions."""
        current = self._with_current(select(Template, TemplateRevision)).where(col(Template.source_id) == source_id)
        return [(template, revision) for template, revision in await self._session.execute(current)]

    async def add(self, templates: Iterable[Template]) -> None:
        """New templates, whose first revisions follow in the same transaction."""
        await self._store(templates)

    # Revisions

    async def add_revisions(self, revisions: Sequence[RevisionRows]) -> None:
        """New revisions of templates that are there. Raises ``ConflictError`` where a number is taken."""
        for start in range(0, len(revisions), BATCH_REVISIONS):
            batch = revisions[start : start + BATCH_REVISIONS]
            await self._store(rows.revision for rows in batch)
            await self._store(script for rows in batch for script in rows.scripts)
            await self._store(file for rows in batch for file in rows.files)
            await self._store(bucket for rows in batch for bucket, _ in rows.buckets)
            await self._store(package for rows in batch for _, packages in rows.buckets for package in packages)

    async def revision(self, revision_id: UUID) -> tuple[Template, TemplateRevision]:
        """The revision and its template. Raises ``NotFoundError``."""
        wanted = (
            select(Template, TemplateRevision)
            .join(TemplateRevision, col(TemplateRevision.template_id) == col(Template.id))
            .where(col(TemplateRevision.id) == revision_id)
        )
        found = (await self._session.execute(wanted)).one_or_none()
        if found is None:
            raise NotFoundError("This revision does not exist or was removed")
        return found[0], found[1]

    async def revisions(self, template_id: UUID) -> Sequence[TemplateRevision]:
        """All of the template, the newest first."""
        of_it = select(TemplateRevision).where(col(TemplateRevision.template_id) == template_id)
        return (await self._session.scalars(of_it.order_by(col(TemplateRevision.number).desc()))).all()

    async def numbered(self, template_id: UUID, number: int) -> TemplateRevision:
        """Raises ``NotFoundError``."""
        wanted = (col(TemplateRevision.template_id) == template_id, col(TemplateRevision.number) == number)
        found = await self._session.scalar(select(TemplateRevision).where(*wanted))
        if found is None:
            raise NotFoundError("This revision does not exist or was removed")
        return found

    async def scripts(self, revision_id: UUID) -> Sequence[TemplateScript]:
        """In the order of their run."""
        of_it = select(TemplateScript).where(col(TemplateScript.revision_id) == revision_id)
        return (await self._session.scalars(of_it.order_by(col(TemplateScript.position)))).all()

    async def files(self, revision_id: UUID) -> Sequence[TemplateFile]:
        """With their content, in no order."""
        of_it = select(TemplateFile).where(col(TemplateFile.revision_id) == revision_id)
        return (await self._session.scalars(of_it)).all()

    async def file(self, revision_id: UUID, name: str) -> TemplateFile:
        """With its content. Raises ``NotFoundError``."""
        named = (col(TemplateFile.revision_id) == revision_id, col(TemplateFile.name) == name)
        found = await self._session.scalar(select(TemplateFile).where(*named))
        if found is None:
            raise NotFoundError("This revision has no such file")
        return found

    async def file_list(self, revision_id: UUID) -> Sequence[FileRow]:
        """Without their content but its head, in no order."""
        described = [
            col(getattr(TemplateFile, name)) for name in ("name", "target_dir", "policy", "mode", "owner", "sha256")
        ]
        size = func.length(col(TemplateFile.content)).label("size")
        head = func.substring(col(TemplateFile.content), 1, HEAD_BYTES).label("head")
        of_it = select(*described, size, head).where(col(TemplateFile.revision_id) == revision_id)
        rows = await self._session.execute(of_it)
        return [FileRow(**row) for row in rows.mappings()]

    async def bytes_of(self, revision_ids: Collection[UUID]) -> int:
        """How much their scripts and files hold, read of none of them."""
        total = 0
        for table in (TemplateScript, TemplateFile):
            held = select(func.coalesce(func.sum(func.octet_length(col(table.content))), 0))
            total += int(await self._session.scalar(held.where(col(table.revision_id).in_(revision_ids))) or 0)
        return total

    async def file_contents(self, revision_id: UUID, names: Collection[str]) -> dict[str, bytes]:
        """By name."""
        named = (col(TemplateFile.revision_id) == revision_id, col(TemplateFile.name).in_(names))
        found = await self._session.execute(select(col(TemplateFile.name), col(TemplateFile.content)).where(*named))
        return dict(found.all())

    async def buckets(self, revision_id: UUID) -> Sequence[tuple[PackageBucket, Sequence[Package]]]:
        """The buckets in no order, the packages of each in theirs."""
        of_it = select(PackageBucket).where(col(PackageBucket.revision_id) == revision_id)
        found: dict[UUID, tuple[PackageBucket, list[Package]]] = {
            bucket.id: (bucket, []) for bucket in await self._session.scalars(of_it)
        }
        packages = select(Package).where(col(Package.bucket_id).in_(found)).order_by(col(Package.position))
        for package in await self._session.scalars(packages):
            found[package.bucket_id][1].append(package)
        return list(found.values())

    async def _current(self, *wanted: Any) -> Sequence[TemplateRows]:
        rows = self._with_current(select(Template, TemplateRevision, *_PART_COUNTS.values()))
        rows = rows.join(TemplateSource, col(TemplateSource.id) == col(Template.source_id)).where(*wanted)
        ordered = rows.order_by(col(Template.name), col(TemplateSource.name))
        found = (await self._session.execute(ordered)).all()
        # Apart: what a source knows of a thousand templates must not come once for each of them.
        theirs = select(TemplateSource).where(col(TemplateSource.id).in_({row[0].source_id for row in found}))
        unread = defer(col(TemplateSource.fingerprints))  # type: ignore[arg-type] # SQLModel's columns are attributes
        sources = {source.id: source for source in await self._session.scalars(theirs.options(unread))}
        return [
            TemplateRows(template, sources[template.source_id], revision, dict(zip(_PART_COUNTS, counts, strict=True)))
            for template, revision, *counts in found
        ]

    def _with_current(self, rows: Any) -> Any:
        its_number = col(TemplateRevision.number) == col(Template.revision_number)
        return rows.join(TemplateRevision, (col(TemplateRevision.template_id) == col(Template.id)) & its_number)

    async def _store(self, rows: Iterable[SQLModel]) -> None:
        # The tables know no relationships, so each kind is written before those that refer to it.
        self._session.add_all(rows)
        await self._session.flush()


_OURS: Final = (SourceKind.CUSTOM.value, SourceKind.IMPORTED.value)
_SHOWN: Final = col(TemplateSource.kind).not_in(_OURS) | col(Template.missing_since).is_(None)


def _count_of(table: type[SQLModel], revision_id: Any) -> Any:
    its = select(func.count()).select_from(table).where(revision_id == col(TemplateRevision.id))
    return its.correlate(TemplateRevision).scalar_subquery()


def _count_of_packages() -> Any:
    listed = (
        select(func.count()).select_from(Package).join(PackageBucket, col(PackageBucket.id) == col(Package.bucket_id))
    )
    its = listed.where(col(PackageBucket.revision_id) == col(TemplateRevision.id))
    return its.correlate(TemplateRevision).scalar_subquery()


_PART_COUNTS: Final = {
    "scripts": _count_of(TemplateScript, col(TemplateScript.revision_id)),
    "files": _count_of(TemplateFile, col(TemplateFile.revision_id)),
    "packages": _count_of_packages(),
}
