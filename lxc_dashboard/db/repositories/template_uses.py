"""What was built from templates, and which templates hold a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import (
    Container,
    Job,
    Package,
    PackageBucket,
    Template,
    TemplateRevision,
    TemplateScript,
    TemplateSource,
)

ESCAPE: Final = "\\"


@dataclass(frozen=True, slots=True)
class BuiltRow:
    """A container with the revision that it was built from."""

    container: Container
    revision_number: int


class TemplateUseRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def containers(self, template_id: UUID, endpoint_id: UUID) -> Sequence[BuiltRow]:
        """Those that exist at the endpoint, by vmid."""
        built = select(Container, col(TemplateRevision.number)).join(TemplateRevision, _BUILT_FROM)
        here = (col(TemplateRevision.template_id) == template_id, *_existing(endpoint_id))
        rows = await self._session.execute(built.where(*here).order_by(col(Container.vmid)))
        return [BuiltRow(container, number) for container, number in rows]

    async def counts(self, endpoint_id: UUID) -> dict[UUID, int]:
        """How many containers of the endpoint were built from each template; none where it has no entry."""
        template_id = col(TemplateRevision.template_id)
        built = select(template_id, func.count()).select_from(Container).join(TemplateRevision, _BUILT_FROM)
        rows = await self._session.execute(built.where(*_existing(endpoint_id)).group_by(template_id))
        return dict(rows.all())

    async def is_built_from(self, template_id: UUID) -> bool:
        """Whether a container or a job, of today or once, refers to one of the template's revisions."""
        its = select(col(TemplateRevision.id)).where(col(TemplateRevision.template_id) == template_id)
        container = select(col(Container.id)).where(col(Container.template_revision_id).in_(its)).exists()
        creation = select(col(Job.id)).where(col(Job.revision_id).in_(its)).exists()
        return bool(await self._session.scalar(select(or_(container, creation))))

    async def search(self, words: Sequence[str]) -> set[UUID]:
        """The templates whose current revisions hold every word, each anywhere, in any case."""
        current = (col(TemplateRevision.template_id) == col(Template.id)) & (
            col(TemplateRevision.number) == col(Template.revision_number)
        )
        found = select(col(Template.id)).join(TemplateRevision, current).where(*map(_holds, words))
        return set((await self._session.scalars(found)).all())

    async def named(self, words: Sequence[str], limit: int) -> Sequence[tuple[UUID, str, str]]:
        """``(id, name, source)`` of templates whose name, description or tags hold every word, by name."""
        columns = (col(Template.id), col(Template.name), col(TemplateSource.name))
        found = select(*columns).join(TemplateSource, col(TemplateSource.id) == col(Template.source_id))
        rows = await self._session.execute(found.where(*map(_tells, words)).order_by(*columns[1:]).limit(limit))
        return [(id_, name, source) for id_, name, source in rows]


_BUILT_FROM = col(TemplateRevision.id) == col(Container.template_revision_id)


def _existing(endpoint_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None)


def _like(word: str) -> Callable[[Any], ColumnElement[bool]]:
    """Whether a column holds the word, in any case."""
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
