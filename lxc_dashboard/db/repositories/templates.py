"""Templates and their immutable revisions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import SQLModel, col

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import (
    Container,
    Job,
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
from lxc_dashboard.messages import Message

BATCH_REVISIONS: Final = 50
HEAD_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class RevisionRows:
    """A revision with all its parts."""

    revision: TemplateRevision
    scripts: Sequence[TemplateScript] = ()
    files: Sequence[TemplateFile] = ()
    buckets: Sequence[tuple[PackageBucket, Sequence[Package]]] = ()


@dataclass(frozen=True, slots=True)
class TemplateRows:
    """A template for lists: its source, its current revision, and the numbers of that one's parts."""

    template: Template
    source: TemplateSource
    revision: TemplateRevision
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a revision without its content, except ``head`` of up to ``HEAD_BYTES``."""

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
        """Return the source ``name``, added if missing. An existing one stays unchanged."""
        new = TemplateSource(name=name, kind=kind.value, location=location).model_dump()
        await self._session.execute(insert(TemplateSource).values(new).on_conflict_do_nothing())
        return (await self._session.scalars(select(TemplateSource).where(col(TemplateSource.name) == name))).one()

    async def own_source(self, kind: SourceKind) -> TemplateSource:
        """Return the source for templates of the dashboard itself, added if missing.

        Raises ``ConflictError`` where a source of another kind has its name.
        """
        query = select(TemplateSource).where(col(TemplateSource.kind) == kind.value).order_by(col(TemplateSource.id))
        source = await self._session.scalar(query.limit(1)) or await self.source(kind.value, kind, "")
        if source.kind != kind.value:
            raise ConflictError(Message.of(DatabaseCode.SOURCE_OF_OTHER_KIND, kind=source.kind, name=source.name))
        return source

    async def lock_source(self, source_id: UUID) -> TemplateSource:
        """Lock the source until the end of the transaction. Raises ``NotFoundError``."""
        locked = select(TemplateSource).where(col(TemplateSource.id) == source_id).with_for_update()
        source = await self._session.scalar(locked, execution_options={"populate_existing": True})
        if source is None:
            raise NotFoundError(Message.of(DatabaseCode.SOURCE_GONE))
        return source

    async def sources(self) -> Sequence[TemplateSource]:
        """Return all sources by name."""
        return (await self._session.scalars(select(TemplateSource).order_by(col(TemplateSource.name)))).all()

    # Templates

    async def get(self, template_id: UUID) -> TemplateRows:
        """Return the template. Raises ``NotFoundError``."""
        rows = await self._current(col(Template.id) == template_id)
        if not rows:
            raise NotFoundError(Message.of(DatabaseCode.TEMPLATE_GONE))
        return rows[0]

    async def lock(self, template_id: UUID) -> TemplateRows:
        """Return as ``get``, and lock the template and its source until the end of the transaction."""
        source_id = await self._session.scalar(select(col(Template.source_id)).where(col(Template.id) == template_id))
        if source_id is not None:
            await self.lock_source(source_id)
        template_query = select(Template).where(col(Template.id) == template_id).with_for_update()
        await self._session.scalar(template_query, execution_options={"populate_existing": True})
        return await self.get(template_id)

    async def named(self, source_id: UUID, name: str) -> TemplateRows | None:
        """Return the source's template with that name, missing or not."""
        rows = await self._current(col(Template.source_id) == source_id, col(Template.name) == name)
        return rows[0] if rows else None

    async def names(self, source_id: UUID) -> set[str]:
        """Return the names of the source's templates, missing or not."""
        names = select(col(Template.name)).where(col(Template.source_id) == source_id)
        return set((await self._session.scalars(names)).all())

    async def delete(self, template_id: UUID) -> None:
        """Delete a template with all revisions. Raises ``ConflictError`` where a job refers to one."""
        await self._session.execute(delete(Template).where(col(Template.id) == template_id))

    async def list(self) -> Sequence[TemplateRows]:
        """Return all templates by name, with missing ones, without those deleted in the dashboard."""
        return await self._current(_SHOWN)

    async def of_source(self, source_id: UUID) -> Sequence[tuple[Template, TemplateRevision]]:
        """Return the source's templates with their current revisions."""
        current = self._with_current(select(Template, TemplateRevision)).where(col(Template.source_id) == source_id)
        return [(template, revision) for template, revision in await self._session.execute(current)]

    async def add(self, templates: Iterable[Template]) -> None:
        """Add templates. Their first revisions follow in the same transaction."""
        await self._store(templates)

    # Revisions

    async def add_revisions(self, revisions: Sequence[RevisionRows]) -> None:
        """Add revisions to existing templates. Raises ``ConflictError`` where a number exists."""
        for start in range(0, len(revisions), BATCH_REVISIONS):
            batch = revisions[start : start + BATCH_REVISIONS]
            await self._store(rows.revision for rows in batch)
            await self._store(script for rows in batch for script in rows.scripts)
            await self._store(file for rows in batch for file in rows.files)
            await self._store(bucket for rows in batch for bucket, _ in rows.buckets)
            await self._store(package for rows in batch for _, packages in rows.buckets for package in packages)

    async def revision(self, revision_id: UUID) -> tuple[Template, TemplateRevision]:
        """Return the revision and its template. Raises ``NotFoundError``."""
        query = (
            select(Template, TemplateRevision)
            .join(TemplateRevision, col(TemplateRevision.template_id) == col(Template.id))
            .where(col(TemplateRevision.id) == revision_id)
        )
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.REVISION_GONE))
        return row[0], row[1]

    async def revisions(self, template_id: UUID) -> Sequence[TemplateRevision]:
        """Return all revisions of the template, newest first."""
        query = select(TemplateRevision).where(col(TemplateRevision.template_id) == template_id)
        return (await self._session.scalars(query.order_by(col(TemplateRevision.number).desc()))).all()

    async def numbered(self, template_id: UUID, number: int) -> TemplateRevision:
        """Return the revision with that number. Raises ``NotFoundError``."""
        conditions = (col(TemplateRevision.template_id) == template_id, col(TemplateRevision.number) == number)
        row = await self._session.scalar(select(TemplateRevision).where(*conditions))
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.REVISION_GONE))
        return row

    async def scripts(self, revision_id: UUID) -> Sequence[TemplateScript]:
        """Return the scripts in the order of their run."""
        query = select(TemplateScript).where(col(TemplateScript.revision_id) == revision_id)
        return (await self._session.scalars(query.order_by(col(TemplateScript.position)))).all()

    async def files(self, revision_id: UUID) -> Sequence[TemplateFile]:
        """Return the files with content, unordered."""
        query = select(TemplateFile).where(col(TemplateFile.revision_id) == revision_id)
        return (await self._session.scalars(query)).all()

    async def file(self, revision_id: UUID, name: str) -> TemplateFile:
        """Return the file with its content. Raises ``NotFoundError``."""
        named = (col(TemplateFile.revision_id) == revision_id, col(TemplateFile.name) == name)
        row = await self._session.scalar(select(TemplateFile).where(*named))
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.REVISION_NO_FILE))
        return row

    async def file_list(self, revision_id: UUID) -> Sequence[FileRow]:
        """Return the files without content except its head, unordered."""
        described = [
            col(getattr(TemplateFile, name)) for name in ("name", "target_dir", "policy", "mode", "owner", "sha256")
        ]
        size = func.length(col(TemplateFile.content)).label("size")
        head = func.substring(col(TemplateFile.content), 1, HEAD_BYTES).label("head")
        query = select(*described, size, head).where(col(TemplateFile.revision_id) == revision_id)
        rows = await self._session.execute(query)
        return [FileRow(**row) for row in rows.mappings()]

    async def bytes_of(self, revision_ids: Collection[UUID]) -> int:
        """Return the size of all scripts and files in bytes, without reading them."""
        total = 0
        for table in (TemplateScript, TemplateFile):
            held = select(func.coalesce(func.sum(func.octet_length(col(table.content))), 0))
            total += int(await self._session.scalar(held.where(col(table.revision_id).in_(revision_ids))) or 0)
        return total

    async def file_contents(self, revision_id: UUID, names: Collection[str]) -> dict[str, bytes]:
        """Return the contents by name."""
        named = (col(TemplateFile.revision_id) == revision_id, col(TemplateFile.name).in_(names))
        rows = await self._session.execute(select(col(TemplateFile.name), col(TemplateFile.content)).where(*named))
        return dict(rows.all())

    async def buckets(self, revision_id: UUID) -> Sequence[tuple[PackageBucket, Sequence[Package]]]:
        """Return the buckets, unordered, each with its packages in order."""
        query = select(PackageBucket).where(col(PackageBucket.revision_id) == revision_id)
        rows: dict[UUID, tuple[PackageBucket, list[Package]]] = {
            bucket.id: (bucket, []) for bucket in await self._session.scalars(query)
        }
        packages = select(Package).where(col(Package.bucket_id).in_(rows)).order_by(col(Package.position))
        for package in await self._session.scalars(packages):
            rows[package.bucket_id][1].append(package)
        return list(rows.values())

    async def _current(self, *wanted: Any) -> Sequence[TemplateRows]:
        rows = self._with_current(select(Template, TemplateRevision, *_PART_COUNTS.values()))
        rows = rows.join(TemplateSource, col(TemplateSource.id) == col(Template.source_id)).where(*wanted)
        ordered = rows.order_by(col(Template.name), col(TemplateSource.name))
        found = (await self._session.execute(ordered)).all()
        # Read separately: a source's data must not come with each of a thousand templates.
        source_query = select(TemplateSource).where(col(TemplateSource.id).in_({row[0].source_id for row in found}))
        unread = defer(col(TemplateSource.fingerprints))  # type: ignore[arg-type] # SQLModel's columns are attributes
        sources = {source.id: source for source in await self._session.scalars(source_query.options(unread))}
        return [
            TemplateRows(template, sources[template.source_id], revision, dict(zip(_PART_COUNTS, counts, strict=True)))
            for template, revision, *counts in found
        ]

    def _with_current(self, rows: Any) -> Any:
        is_current = col(TemplateRevision.number) == col(Template.revision_number)
        return rows.join(TemplateRevision, (col(TemplateRevision.template_id) == col(Template.id)) & is_current)

    async def _store(self, rows: Iterable[SQLModel]) -> None:
        # The tables have no relationships, so each kind is written before those that refer to it.
        self._session.add_all(rows)
        await self._session.flush()


_OURS: Final = (SourceKind.CUSTOM.value, SourceKind.IMPORTED.value)
_SHOWN: Final = col(TemplateSource.kind).not_in(_OURS) | col(Template.missing_since).is_(None)


def _count_of(table: type[SQLModel], revision_id: Any) -> Any:
    query = select(func.count()).select_from(table).where(revision_id == col(TemplateRevision.id))
    return query.correlate(TemplateRevision).scalar_subquery()


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


ESCAPE: Final = "\\"


@dataclass(frozen=True, slots=True)
class BuiltRow:
    """A container with the number of the revision that it was built from."""

    container: Container
    revision_number: int


class TemplateUseRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def containers(self, template_id: UUID, endpoint_id: UUID) -> Sequence[BuiltRow]:
        """Return the endpoint's existing containers of the template, by vmid."""
        built = select(Container, col(TemplateRevision.number)).join(TemplateRevision, _BUILT_FROM)
        here = (col(TemplateRevision.template_id) == template_id, *_existing(endpoint_id))
        rows = await self._session.execute(built.where(*here).order_by(col(Container.vmid)))
        return [BuiltRow(container, number) for container, number in rows]

    async def counts(self, endpoint_id: UUID) -> dict[UUID, int]:
        """Return how many of the endpoint's containers each template has. Templates without any are left out."""
        template_id = col(TemplateRevision.template_id)
        built = select(template_id, func.count()).select_from(Container).join(TemplateRevision, _BUILT_FROM)
        rows = await self._session.execute(built.where(*_existing(endpoint_id)).group_by(template_id))
        return dict(rows.all())

    async def is_built_from(self, template_id: UUID) -> bool:
        """Return whether a container or job, also a deleted one, refers to a revision of the template."""
        query = select(col(TemplateRevision.id)).where(col(TemplateRevision.template_id) == template_id)
        container = select(col(Container.id)).where(col(Container.template_revision_id).in_(query)).exists()
        creation = select(col(Job.id)).where(col(Job.revision_id).in_(query)).exists()
        return bool(await self._session.scalar(select(or_(container, creation))))

    async def search(self, words: Sequence[str]) -> set[UUID]:
        """Return the templates whose current revisions contain every word, ignoring case."""
        current = (col(TemplateRevision.template_id) == col(Template.id)) & (
            col(TemplateRevision.number) == col(Template.revision_number)
        )
        query = select(col(Template.id)).join(TemplateRevision, current).where(*map(_holds, words))
        return set((await self._session.scalars(query)).all())

    async def named(self, words: Sequence[str], limit: int) -> Sequence[tuple[UUID, str, str]]:
        """Return ``(id, name, source)`` of templates whose name, description or tags contain every word, by name."""
        columns = (col(Template.id), col(Template.name), col(TemplateSource.name))
        query = select(*columns).join(TemplateSource, col(TemplateSource.id) == col(Template.source_id))
        rows = await self._session.execute(query.where(*map(_tells, words)).order_by(*columns[1:]).limit(limit))
        return [(id_, name, source) for id_, name, source in rows]


_BUILT_FROM = col(TemplateRevision.id) == col(Container.template_revision_id)


def _existing(endpoint_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None)


def _like(word: str) -> Callable[[Any], ColumnElement[bool]]:
    """Return a condition on a column: it contains the word, ignoring case."""
    escaped = word
    for special in (ESCAPE, "%", "_"):
        escaped = escaped.replace(special, ESCAPE + special)
    pattern = f"%{escaped}%"

    def like(text: Any) -> ColumnElement[bool]:
        return text.ilike(pattern, escape=ESCAPE)  # type: ignore[no-any-return]  # a column's methods are Any here

    return like


def _tells(word: str) -> ColumnElement[bool]:
    like = _like(word)
    tag = func.jsonb_array_elements_text(col(Template.tags)).table_valued("value")
    return or_(
        like(col(Template.name)),
        like(col(Template.description)),
        select(tag.c.value).where(like(tag.c.value)).correlate(Template).exists(),
    )


def _holds(word: str) -> ColumnElement[bool]:
    like = _like(word)
    revision_id = col(TemplateRevision.id)
    scripts = select(col(TemplateScript.id)).where(col(TemplateScript.revision_id) == revision_id)
    packages = (
        select(col(Package.id))
        .join(PackageBucket, col(PackageBucket.id) == col(Package.bucket_id))
        .where(col(PackageBucket.revision_id) == revision_id)
    )
    commands = (col(Package.spec), col(Package.check_command), col(Package.install_command))
    return or_(
        _tells(word),
        like(col(TemplateRevision.config)["app"].astext),
        packages.where(or_(*map(like, commands))).correlate(TemplateRevision).exists(),
        scripts.where(or_(like(col(TemplateScript.name)), like(col(TemplateScript.content))))
        .correlate(TemplateRevision)
        .exists(),
    )
