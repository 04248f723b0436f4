"""Drafts: unsaved templates, stored so that a reload of the page loses nothing. Each belongs to one user of one endpoint."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import PackageManager, SourceKind, Template, TemplateDraft, TemplateRevision, now
from lxc_dashboard.db.repositories.drafts import Owner
from lxc_dashboard.db.repositories.templates import TemplateRows
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES, MAX_FILES
from lxc_dashboard.services.templates.format.tree import MAX_TEMPLATE_BYTES
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.library.diff import MAX_TEXT_BYTES, Difference, FileSide, Side, compare_sides
from lxc_dashboard.services.templates.library.draft import (
    Draft,
    DraftContent,
    DraftSummary,
    Overtaken,
    check_size,
    check_storable,
)
from lxc_dashboard.services.templates.library.revisions import label, load_side, load_sides, read_packages
from lxc_dashboard.services.templates.model import Bucket, TemplateConfig

MAX_DRAFTS: Final = 20
MAX_NAME_CHARS: Final = 63
OWN_KINDS: Final = frozenset({SourceKind.CUSTOM, SourceKind.IMPORTED})
_EMPTY: Final = DraftContent(name="", config=TemplateConfig(app=""))


def owner_of(session: Session) -> Owner:
    """The owner of the session's drafts."""
    return Owner(session.endpoint_id, session.userid)


async def open_draft(rt: Runtime, session: Session, template_id: UUID | None, *, copy_of: UUID | None = None) -> Draft:
    """Open the user's draft of the template, or begin one from its current revision.

    ``template_id`` None: the draft of a new template, empty or a copy of ``copy_of`` (from any source). If the template has a
    newer revision, a draft that was never stored begins again from it. Raises ``NotFoundError``, ``PrivilegeError``,
    ``ConflictError`` for a template of a folder or git, and for too many drafts.
    """
    subject = await _subject(rt, template_id or copy_of)
    async with rights.authored(rt, session, "template.edit", subject):
        async with rt.db.transaction() as tx:
            draft_id = await _open(tx, owner_of(session), template_id, copy_of)
        return await get_draft(rt, session, draft_id)


async def get_draft(rt: Runtime, session: Session, draft_id: UUID) -> Draft:
    """The user's own draft. Raises ``NotFoundError`` for another user's, ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        row = await tx.drafts.get(owner_of(session), draft_id)
        content = DraftContent.from_json(row.content)
        overtaken, saved = None, _begun(row, content)
        if row.template_id is not None:
            rows = await tx.templates.get(row.template_id)
            overtaken = await overtaken_by(tx, row.base_number, rows)
            saved = await _content(tx, rows, row.base_number)
            if content.name == row.base_name:
                content = replace(content, name=rows.template.name)
    return Draft(
        id=row.id,
        template_id=row.template_id,
        base_number=row.base_number,
        content=content,
        updated_at=row.updated_at,
        overtaken=overtaken,
        created_at=row.created_at,
        copy_of=row.copy_of,
        saved=saved,
    )


async def list_drafts(rt: Runtime, session: Session) -> list[DraftSummary]:
    """The user's own drafts, last changed first. Raises ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        return [
            DraftSummary(
                id=row.id,
                template_id=row.template_id,
                name=row.name,
                base_number=row.base_number,
                overtaken=row.current_number is not None and row.current_number > row.base_number,
                updated_at=row.updated_at,
                touched=row.updated_at != row.created_at,
            )
            for row in await tx.drafts.list(owner_of(session))
        ]


async def store(
    rt: Runtime, session: Session, draft_id: UUID, content: DraftContent, *, seen: datetime | None = None
) -> datetime:
    """Store ``content``, valid or not; return its new ``updated_at``. Sets file sizes to those of the contents.

    ``seen``: the ``updated_at`` that this window knows. Raises ``ConflictError`` if another window stored the draft since,
    ``InvalidInputError`` above the limits and for files without content, ``NotFoundError``, ``PrivilegeError``. Asks PVE for
    the privilege each time, so call it at most every few seconds.
    """
    async with rights.authored(rt, session, "template.draft", f"draft {draft_id}"):
        await asyncio.to_thread(check_storable, content)
        async with rt.db.transaction() as tx:
            row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
            if seen is not None and row.updated_at != seen:
                raise ConflictError(Message.of(LibraryCode.CHANGED_ELSEWHERE))
            sizes = await tx.drafts.sizes(draft_id)
            missing = {file.name for file in content.files if file.sha256 not in sizes}
            if missing:
                wrong = Message.of(LibraryCode.FILE_CONTENT_MISSING)
                raise InvalidInputError({f"files.{name}.content": wrong for name in missing})
            files = tuple(replace(file, size=sizes[file.sha256]) for file in content.files)
            content = replace(content, files=files)
            check_size(content)
            row.content = content.to_json()
            row.updated_at = max(now(), row.updated_at + timedelta(microseconds=1))
            return row.updated_at


async def put_file(rt: Runtime, session: Session, draft_id: UUID, data: bytes) -> str:
    """Store ``data`` for the draft; return its SHA-256, which a ``DraftFile`` refers to.

    Raises ``InvalidInputError`` (``content``) above the limits of a file or a template, ``NotFoundError``, ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "template.draft", f"draft {draft_id}"):
        if len(data) > MAX_FILE_BYTES:
            raise InvalidInputError({"content": Message.of(LibraryCode.UPLOAD_TOO_LARGE, mib=MAX_FILE_BYTES >> 20)})
        sha256 = hashlib.sha256(data).hexdigest()
        async with rt.db.transaction() as tx:
            row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
            await _make_room(tx, row, sha256, len(data))
            await tx.drafts.put_file(draft_id, sha256, data)
        return sha256


async def read_file(rt: Runtime, session: Session, draft_id: UUID, sha256: str) -> bytes:
    """A file's content. Raises ``NotFoundError``, ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        await tx.drafts.named(owner_of(session), draft_id)
        found = await tx.drafts.contents(draft_id, [sha256])
    if sha256 not in found:
        raise NotFoundError(Message.of(LibraryCode.NO_FILE))
    return found[sha256]


async def discard(rt: Runtime, session: Session, draft_id: UUID) -> None:
    """Delete the draft. Raises ``NotFoundError``, ``PrivilegeError``."""
    async with rights.authored(rt, session, "template.discard", f"draft {draft_id}"), rt.db.transaction() as tx:
        row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
        await tx.drafts.delete(draft_id)
        await rights.audit(tx, session, "template.discard", row.base_name or f"draft {draft_id}")


async def difference(rt: Runtime, session: Session, draft_id: UUID, number: int = 0) -> Difference:
    """The changes from revision ``number`` (0: the draft's base) to the stored draft.

    The base of a new template is empty. Raises ``NotFoundError``, ``SessionExpiredError``.
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


async def overtaken_by(tx: Transaction, base_number: int, rows: TemplateRows) -> Overtaken | None:
    """The current revision, with the changes since ``base_number``; None if ``base_number`` is current."""
    revision = rows.revision
    if revision.number == base_number:
        return None
    sides = await load_sides(tx, rows.template.id, base_number, revision.number)
    changes = (await asyncio.to_thread(compare_sides, *sides)).messages()
    return Overtaken(revision.number, revision.author, revision.created_at, tuple(changes))


async def _subject(rt: Runtime, template_id: UUID | None) -> str:
    """The template's name for the audit."""
    if template_id is None:
        return "new template"
    async with rt.db.transaction() as tx:
        return label(await tx.templates.get(template_id))


async def _open(tx: Transaction, owner: Owner, template_id: UUID | None, copy_of: UUID | None) -> UUID:
    begun_from = template_id or copy_of
    rows = await tx.templates.get(begun_from) if begun_from else None
    if rows and template_id:
        existing = await tx.drafts.of_template(owner, template_id)
        refuse_foreign(rows)
    else:
        existing = await tx.drafts.of_new(owner, copy_of)
    if existing:
        untouched = existing.updated_at == existing.created_at
        if not (untouched and rows and rows.revision.number != existing.base_number):
            return existing.id
        await tx.drafts.delete(existing.id)
    if await tx.drafts.count(owner) >= MAX_DRAFTS:
        raise ConflictError(Message.of(LibraryCode.TOO_MANY_DRAFTS, number=MAX_DRAFTS))
    if rows and template_id:
        return await _begin(tx, owner, rows)
    return await (_begin_copy(tx, owner, rows) if rows else _begin_empty(tx, owner))


def refuse_foreign(rows: TemplateRows) -> None:
    """Raises ``ConflictError`` for a template of a folder or git, ``NotFoundError`` for a deleted one."""
    if rows.source.kind not in OWN_KINDS:
        raise ConflictError(Message.of(LibraryCode.FOREIGN, name=rows.template.name, kind=rows.source.kind))
    if rows.template.missing_since is not None:
        raise NotFoundError(Message.of(LibraryCode.DELETED))


async def _begin(tx: Transaction, owner: Owner, rows: TemplateRows) -> UUID:
    draft = _row(owner, await _content(tx, rows, rows.revision.number), rows.revision.number, rows.template)
    if not await tx.drafts.add(draft):
        begun = await tx.drafts.of_template(owner, rows.template.id)
        if begun is None:
            raise ConflictError
        return begun.id
    await tx.drafts.copy_files(draft.id, rows.revision.id)
    return draft.id


async def _begin_copy(tx: Transaction, owner: Owner, rows: TemplateRows) -> UUID:
    content = await _content(tx, rows, rows.revision.number)
    source = await tx.templates.own_source(SourceKind.CUSTOM)
    name = _free_name(content.name, await tx.templates.names(source.id))
    content = replace(content, name=name, config=replace(content.config, config_path=""))
    draft = _row(owner, content, rows.revision.number)
    draft.copy_of = rows.template.id
    await tx.drafts.add(draft)
    await tx.drafts.copy_files(draft.id, rows.revision.id)
    return draft.id


async def _begin_empty(tx: Transaction, owner: Owner) -> UUID:
    draft = _row(owner, _EMPTY, 0)
    await tx.drafts.add(draft)
    return draft.id


def _row(owner: Owner, content: DraftContent, base_number: int, template: Template | None = None) -> TemplateDraft:
    at = now()
    return TemplateDraft(
        template_id=template.id if template else None,
        endpoint_id=owner.endpoint_id,
        userid=owner.userid,
        base_number=base_number,
        base_name=content.name,
        content=content.to_json(),
        created_at=at,
        updated_at=at,
    )


def _begun(row: TemplateDraft, content: DraftContent) -> DraftContent | None:
    """The content that the draft of a new template was begun from, if known."""
    if row.updated_at == row.created_at:
        return content
    return None if row.copy_of else _EMPTY


async def _content(tx: Transaction, rows: TemplateRows, number: int) -> DraftContent:
    """The content of revision ``number`` under the template's current name."""
    current = rows.revision.number == number
    side = await load_side(tx, rows.revision if current else await tx.templates.numbered(rows.template.id, number))
    files = tuple(of.file for of in side.files)
    return DraftContent(rows.template.name, side.config, tuple(side.scripts), files, tuple(side.buckets))


def _free_name(name: str, taken: Collection[str]) -> str:
    """``name``, with a suffix if it is taken."""
    suffix, number = "", 1
    while (free := name[: MAX_NAME_CHARS - len(suffix)] + suffix) in taken:
        suffix = "-copy" if number == 1 else f"-copy-{number}"
        number += 1
    return free


async def _make_room(tx: Transaction, row: TemplateDraft, sha256: str, size: int) -> None:
    """Delete contents that the draft does not use, if the new content needs the space. Raises ``InvalidInputError``."""
    sizes = await tx.drafts.sizes(row.id)
    if sha256 in sizes or _fits(sizes, size):
        return
    named = {file.sha256 for file in DraftContent.from_json(row.content).files}
    await tx.drafts.keep_files(row.id, named)
    if not _fits({name: taken for name, taken in sizes.items() if name in named}, size):
        raise InvalidInputError({"content": Message.of(LibraryCode.TOO_LARGE, mib=MAX_TEMPLATE_BYTES >> 20)})


def _fits(sizes: dict[str, int], size: int) -> bool:
    """Whether ``size`` more bytes fit, with room for one file that replaces another."""
    return len(sizes) < 2 * MAX_FILES and sum(sizes.values()) + size <= MAX_TEMPLATE_BYTES + MAX_FILE_BYTES


async def _resolved(tx: Transaction, draft: DraftContent) -> DraftContent:
    """The draft with the current packages of its shared buckets."""
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
    names = [s.file.name for s in old.files if s.file.name not in same and s.file.size <= MAX_TEXT_BYTES]
    contents = await tx.templates.file_contents(revision.id, names)
    looked = replace(old, files=[FileSide(side.file, contents.get(side.file.name)) for side in old.files])
    return looked, await _looked_into(tx, row, new, hashes)


async def _looked_into(tx: Transaction, row: TemplateDraft, side: Side, known: Mapping[str, str]) -> Side:
    digests = {
        each.file.sha256
        for each in side.files
        if known.get(each.file.name) != each.file.sha256 and each.file.size <= MAX_TEXT_BYTES
    }
    contents = await tx.drafts.contents(row.id, digests)
    return replace(side, files=[FileSide(each.file, contents.get(each.file.sha256)) for each in side.files])
