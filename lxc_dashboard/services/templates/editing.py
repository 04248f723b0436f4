"""A draft beside what is saved: what it would change, and what somebody else changed while it was written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import PackageManager, TemplateDraft, TemplateRevision, now
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.diff import MAX_TEXT_BYTES, Difference, FileSide, Side, compare_sides
from lxc_dashboard.services.templates.draft import DraftContent
from lxc_dashboard.services.templates.drafts import owner_of
from lxc_dashboard.services.templates.history import load_side
from lxc_dashboard.services.templates.merge import merge
from lxc_dashboard.services.templates.model import Bucket
from lxc_dashboard.services.templates.rows import read_packages


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Revision ``number`` is in the draft now. ``kept`` as in ``merge.Merged``."""

    number: int
    author: str
    kept: tuple[str, ...]
    updated_at: datetime


async def difference(rt: Runtime, session: Session, draft_id: UUID, number: int = 0) -> Difference:
    """What leads from revision ``number`` (0: the one that the draft was begun from) to the draft as it is kept.

    Of a template to be made: from nothing. Raises ``NotFoundError``, ``SessionExpiredError``.
    """
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        row = await tx.drafts.get(owner_of(session), draft_id)
        draft = await _resolved(tx, DraftContent.from_json(row.content))
        if row.template_id is None:
            old, new = Side(draft.config, (), (), ()), await _looked_into(tx, row, Side.of_draft(draft), {})
        else:
            revision = await tx.templates.numbered(row.template_id, number or row.base_number)
            old, new = await _sides(tx, row, revision, draft)
    return await asyncio.to_thread(compare_sides, old, new)


async def take_over(rt: Runtime, session: Session, draft_id: UUID, *, seen: int) -> TakenOver:
    """Puts what revision ``seen`` changed since the draft was begun into the draft, which counts as begun from it from now on.

    Where both changed the same the draft's stays. Raises ``NotFoundError`` for a draft of no template, ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "template.draft", f"draft {draft_id}"), rt.db.transaction() as tx:
        row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
        if row.template_id is None:
            raise NotFoundError
        before = await tx.templates.numbered(row.template_id, row.base_number)
        revision = await tx.templates.numbered(row.template_id, seen)
        template = (await tx.templates.get(row.template_id)).template
        base, theirs = await load_side(tx, before), await load_side(tx, revision)
        mine = DraftContent.from_json(row.content)
        merged = merge(_content(row.base_name, base), _content(template.name, theirs), mine)
        await tx.drafts.copy_files(row.id, revision.id)
        row.content, row.base_number, row.base_name = merged.content.to_json(), revision.number, template.name
        row.updated_at = max(now(), row.updated_at + timedelta(microseconds=1))
        return TakenOver(revision.number, revision.author, merged.kept, row.updated_at)


async def _resolved(tx: Transaction, draft: DraftContent) -> DraftContent:
    """With what its shared buckets hold now."""
    held = await tx.buckets.hold({bucket.shared_id for bucket in draft.buckets if bucket.shared_id})

    def now_held(bucket: Bucket) -> Bucket:
        rows = held.get(bucket.shared_id) if bucket.shared_id else None
        if rows is None:
            return bucket
        manager = PackageManager(rows.bucket.manager)
        return Bucket(rows.bucket.name, manager, read_packages(rows.packages), bucket.shared_id)

    return replace(draft, buckets=tuple(map(now_held, draft.buckets)))


async def _sides(
    tx: Transaction, row: TemplateDraft, revision: TemplateRevision, draft: DraftContent
) -> tuple[Side, Side]:
    """The revision and the draft, with the contents of the files that differ."""
    old, new = await load_side(tx, revision), Side.of_draft(draft)
    hashes = {side.file.name: side.file.sha256 for side in old.files}
    same = {side.file.name for side in new.files if hashes.get(side.file.name) == side.file.sha256}
    wanted = [s.file.name for s in old.files if s.file.name not in same and s.file.size <= MAX_TEXT_BYTES]
    contents = await tx.templates.file_contents(revision.id, wanted)
    looked = replace(old, files=[FileSide(side.file, contents.get(side.file.name)) for side in old.files])
    return looked, await _looked_into(tx, row, new, hashes)


async def _looked_into(tx: Transaction, row: TemplateDraft, side: Side, known: Mapping[str, str]) -> Side:
    wanted = {
        each.file.sha256
        for each in side.files
        if known.get(each.file.name) != each.file.sha256 and each.file.size <= MAX_TEXT_BYTES
    }
    contents = await tx.drafts.contents(row.id, wanted)
    return replace(side, files=[FileSide(each.file, contents.get(each.file.sha256)) for each in side.files])


def _content(name: str, side: Side) -> DraftContent:
    files = tuple(each.file for each in side.files)
    return DraftContent(name, side.config, tuple(side.scripts), files, tuple(side.buckets))
