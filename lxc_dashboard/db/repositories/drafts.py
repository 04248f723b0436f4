"""Unsaved templates. Each user finds only their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Template, TemplateDraft, TemplateDraftFile, TemplateFile
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message


@dataclass(frozen=True, slots=True)
class Owner:
    """The user of a draft, at one endpoint."""

    endpoint_id: UUID
    userid: str


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft without its content. ``current_number`` is its template's current revision, None without a template."""

    id: UUID
    template_id: UUID | None
    name: str
    base_number: int
    current_number: int | None
    created_at: datetime
    updated_at: datetime


class DraftRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, owner: Owner, draft_id: UUID, *, lock: bool = False) -> TemplateDraft:
        """Return the owner's draft. ``lock``: until the end of the transaction. Raises ``NotFoundError``."""
        query = select(TemplateDraft).where(col(TemplateDraft.id) == draft_id, *_of(owner))
        if lock:
            query = query.with_for_update()
        draft = await self._session.scalar(query, execution_options={"populate_existing": True})
        if draft is None:
            raise NotFoundError(Message.of(DatabaseCode.DRAFT_GONE))
        return draft

    async def of_template(self, owner: Owner, template_id: UUID) -> TemplateDraft | None:
        """Return the owner's draft of that template."""
        query = select(TemplateDraft).where(*_of(owner), col(TemplateDraft.template_id) == template_id)
        return await self._session.scalar(query)

    async def of_new(self, owner: Owner, copy_of: UUID | None) -> TemplateDraft | None:
        """Return the owner's oldest draft of a new template, as a copy of ``copy_of`` or of none."""
        began = col(TemplateDraft.copy_of).is_not_distinct_from(copy_of)
        query = select(TemplateDraft).where(*_of(owner), col(TemplateDraft.template_id).is_(None), began)
        return await self._session.scalar(query.order_by(col(TemplateDraft.id)).limit(1))

    async def list(self, owner: Owner) -> Sequence[DraftRow]:
        """Return the owner's drafts, last changed first."""
        ordered = _described().where(*_of(owner)).order_by(col(TemplateDraft.updated_at).desc())
        return [DraftRow(**row) for row in (await self._session.execute(ordered)).mappings()]

    async def named(self, owner: Owner, draft_id: UUID) -> DraftRow:
        """Return the draft without its content. Raises ``NotFoundError``."""
        query = _described().where(col(TemplateDraft.id) == draft_id, *_of(owner))
        row = (await self._session.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.DRAFT_GONE))
        return DraftRow(**row)

    async def count(self, owner: Owner) -> int:
        counted = select(func.count()).select_from(TemplateDraft).where(*_of(owner))
        return await self._session.scalar(counted) or 0

    async def add(self, draft: TemplateDraft) -> bool:
        """Add a draft. Returns False where its user already has one of the same template."""
        added = insert(TemplateDraft).values(draft.model_dump()).on_conflict_do_nothing()
        return await self._session.scalar(added.returning(col(TemplateDraft.id))) is not None

    async def delete(self, draft_id: UUID) -> None:
        """Delete a draft with its files."""
        await self._session.execute(delete(TemplateDraft).where(col(TemplateDraft.id) == draft_id))

    async def detach(self, template_id: UUID) -> None:
        """Turn all drafts of the template into drafts of new templates, so that no user loses work."""
        query = update(TemplateDraft).where(col(TemplateDraft.template_id) == template_id)
        await self._session.execute(query.values(template_id=None, copy_of=template_id, base_number=0))

    # Files

    async def copy_files(self, draft_id: UUID, revision_id: UUID) -> None:
        """Copy the revision's files into the draft."""
        query = select(literal(draft_id), col(TemplateFile.sha256), col(TemplateFile.content))
        copied = insert(TemplateDraftFile).from_select(
            ["draft_id", "sha256", "content"],
            query.where(col(TemplateFile.revision_id) == revision_id),
        )
        await self._session.execute(copied.on_conflict_do_nothing())

    async def put_file(self, draft_id: UUID, sha256: str, content: bytes) -> None:
        stored = insert(TemplateDraftFile).values(draft_id=draft_id, sha256=sha256, content=content)
        await self._session.execute(stored.on_conflict_do_nothing())

    async def sizes(self, draft_id: UUID) -> dict[str, int]:
        """Return the size in bytes of each content, by its SHA-256."""
        sizes = select(col(TemplateDraftFile.sha256), func.length(col(TemplateDraftFile.content)))
        rows = await self._session.execute(sizes.where(col(TemplateDraftFile.draft_id) == draft_id))
        return dict(rows.all())

    async def contents(self, draft_id: UUID, wanted: Collection[str]) -> dict[str, bytes]:
        """Return the existing contents of ``wanted``, by SHA-256."""
        query = select(col(TemplateDraftFile.sha256), col(TemplateDraftFile.content))
        conditions = (col(TemplateDraftFile.draft_id) == draft_id, col(TemplateDraftFile.sha256).in_(wanted))
        return dict((await self._session.execute(query.where(*conditions))).all())

    async def keep_files(self, draft_id: UUID, kept: Collection[str]) -> None:
        """Delete all contents except ``kept``."""
        others = (col(TemplateDraftFile.draft_id) == draft_id, col(TemplateDraftFile.sha256).not_in(kept))
        await self._session.execute(delete(TemplateDraftFile).where(*others))


def _of(owner: Owner) -> tuple[Any, ...]:
    return col(TemplateDraft.endpoint_id) == owner.endpoint_id, col(TemplateDraft.userid) == owner.userid


def _described() -> Any:
    columns = [
        col(getattr(TemplateDraft, name)) for name in ("id", "template_id", "base_number", "created_at", "updated_at")
    ]
    name = col(TemplateDraft.content)["name"].astext.label("name")
    current: Any = col(Template.revision_number).label("current_number")
    joined = select(*columns, name, current).select_from(TemplateDraft)
    return joined.outerjoin(Template, col(Template.id) == col(TemplateDraft.template_id))
