"""New revisions of the templates that live in the dashboard, inside a transaction that has locked them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import SourceKind, Template, TemplateRevision, now
from lxc_dashboard.db.repositories.templates import TemplateRows
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.diff import Side, compare_sides
from lxc_dashboard.services.templates.draft import DraftContent
from lxc_dashboard.services.templates.drafts import label
from lxc_dashboard.services.templates.history import load_side
from lxc_dashboard.services.templates.model import Bucket, TemplateContent
from lxc_dashboard.services.templates.report import RevisionSummary
from lxc_dashboard.services.templates.rows import revision_rows, warnings_json

TAKEN: Final = "Another template here has this name"
TAKEN_BY_DELETED: Final = "A deleted template has this name, and containers that were built from it"


async def create(tx: Transaction, session: Session, content: TemplateContent, note: str) -> RevisionSummary:
    """A new template; one of its name that was deleted comes back with its revisions."""
    source = await tx.templates.own_source(SourceKind.CUSTOM)
    await tx.templates.lock_source(source.id)
    known = await tx.templates.named(source.id, content.name)
    if known and known.template.missing_since is None:
        raise InvalidInputError({"name": TAKEN})
    if known:
        return await revise(tx, session, known, content, note, action="template.create")
    template = Template(source_id=source.id, name=content.name, created_by=session.userid, **_shown(content))
    await tx.templates.add([template])
    summary = await _add_revision(tx, session, template, content, note)
    nothing = Side(content.config, (), (), ())
    detail = {"number": summary.number, **await _counted(nothing, content)}
    await rights.audit(tx, session, "template.create", f"{source.name}/{template.name}", detail=detail)
    return summary


async def rename(tx: Transaction, session: Session, rows: TemplateRows, name: str) -> None:
    known = await tx.templates.named(rows.source.id, name)
    if known:
        raise InvalidInputError({"name": TAKEN if known.template.missing_since is None else TAKEN_BY_DELETED})
    was = label(rows)
    rows.template.name = name
    rows.template.updated_at = now()
    await rights.audit(tx, session, "template.rename", was, detail={"name": name})


async def revise(
    tx: Transaction, session: Session, rows: TemplateRows, content: TemplateContent, note: str, *, action: str
) -> RevisionSummary:
    """The next revision of a template that is locked, unless it would hold what the current one holds."""
    template, current = rows.template, rows.revision
    before = await load_side(tx, current)
    back = template.missing_since is not None
    template.missing_since = None
    if current.checksum == content.checksum() and _links(before.buckets) == _links(content.buckets):
        if back:
            await rights.audit(tx, session, action, label(rows), detail={"number": current.number, "back": True})
        # Findings tell about the text as it is checked today.
        current.warnings = warnings_json(content.warnings)
        return _summary(current, unchanged=True)
    template.revision_number += 1
    template.sqlmodel_update({"updated_at": now(), **_shown(content)})
    summary = await _add_revision(tx, session, template, content, note)
    detail = {"number": summary.number, **await _counted(before, content)}
    await rights.audit(tx, session, action, label(rows), detail=detail)
    return summary


async def _add_revision(
    tx: Transaction, session: Session, template: Template, content: TemplateContent, note: str
) -> RevisionSummary:
    new = revision_rows(template.id, template.revision_number, content, author=session.userid, note=note)
    await tx.templates.add_revisions([new])
    return _summary(new.revision)


async def _counted(before: Side, content: TemplateContent) -> dict[str, Any]:
    """What the audit says of the change; files are told apart without being looked into."""
    after = Side.of_draft(DraftContent.of(content))
    return (await asyncio.to_thread(compare_sides, before, after)).counted()


def _links(buckets: Iterable[Bucket]) -> set[tuple[str, str, UUID | None]]:
    return {(bucket.name, bucket.manager, bucket.shared_id) for bucket in buckets}


def _shown(content: TemplateContent) -> dict[str, Any]:
    return {"description": content.config.description, "tags": list(content.config.tags)}


def _summary(revision: TemplateRevision, *, unchanged: bool = False) -> RevisionSummary:
    return RevisionSummary(revision.id, revision.number, revision.author, revision.note, revision.created_at, unchanged)
