"""Saves, restores, renames and deletes templates of the dashboard. A save never overwrites an unseen revision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import PackageManager, SourceKind, TemplateDraft, now
from lxc_dashboard.db.models.base import storable_text
from lxc_dashboard.db.repositories.templates import TemplateRows
from lxc_dashboard.errors import InvalidInputError, NotFoundError, OvertakenError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format import checks
from lxc_dashboard.services.templates.library import revisions
from lxc_dashboard.services.templates.library.catalog import load_revision
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.library.diff import Side
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile, Overtaken, check_name, validated
from lxc_dashboard.services.templates.library.drafts import OWN_KINDS, overtaken_by, owner_of, refuse_foreign
from lxc_dashboard.services.templates.library.revisions import label, load_side, read_packages
from lxc_dashboard.services.templates.model import (
    Bucket,
    RevisionSummary,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

MAX_NOTE_CHARS: Final = 2_000
LINTED_WITHIN_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Deleted:
    """``kept``: the template is hidden, but its revisions stay, because containers or jobs refer to them."""

    name: str
    kept: bool


async def save(rt: Runtime, session: Session, draft_id: UUID, note: str, *, over: int | None = None) -> RevisionSummary:
    """Save the draft as the template's next revision, and delete the draft.

    A draft without changes makes no revision (``unchanged``). ``over``: a newer revision than the draft's base that the user
    saw. Raises ``OvertakenError`` if another newer one exists, ``InvalidInputError`` as ``validation.validated`` (and ``note``),
    ``NotFoundError``, ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "template.save", await _draft_name(rt, session, draft_id)):
        note = _checked_note(note)
        results = await _linted(rt, session, draft_id)
        async with rt.db.transaction() as tx:
            row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
            content = await _validated(tx, row, results)
            if row.template_id is None:
                summary = await revisions.create(tx, session, content, note)
            else:
                rows = await tx.templates.lock(row.template_id)
                refuse_foreign(rows)
                _refuse_overtaken(await overtaken_by(tx, row.base_number, rows), over)
                content = await _renamed(tx, session, row, rows, content)
                summary = await revisions.revise(tx, session, rows, content, note, action="template.save")
            await tx.drafts.delete(draft_id)
            return summary


async def preview(rt: Runtime, session: Session, draft_id: UUID) -> TemplateContent:
    """The content that a save would store now, with its findings. Raises as ``save`` for an invalid draft."""
    rights.require_session(session)
    results = await _linted(rt, session, draft_id)
    async with rt.db.transaction() as tx:
        return await _validated(tx, await tx.drafts.get(owner_of(session), draft_id), results)


async def restore(
    rt: Runtime, session: Session, template_id: UUID, number: int, note: str, *, expected: int | None = None
) -> RevisionSummary:
    """Make a new revision with the content of revision ``number``, validated as in a save. Restores a deleted template too.

    ``expected``: the current revision that the user saw. Raises ``OvertakenError`` if it is no longer current,
    ``InvalidInputError`` as ``save``, ``NotFoundError``, ``PrivilegeError``, ``ConflictError`` for a template of a folder or git.
    """
    subject = label(await _rows(rt, template_id))
    async with rights.authored(rt, session, "template.restore", subject):
        note = _checked_note(note)
        async with rt.db.transaction() as tx:
            older = await tx.templates.numbered(template_id, number)
            held = (await load_revision(tx, older.id)).content
        results = await checks.linted((script.content for script in held.scripts), within_s=LINTED_WITHIN_S)
        async with rt.db.transaction() as tx:
            unlinked = await _unlinked(tx, held)
            content = await _restorable(tx, unlinked, number, results)
            rows = await tx.templates.lock(template_id)
            if rows.template.missing_since is None or rows.source.kind not in OWN_KINDS:
                refuse_foreign(rows)
            if expected is not None:
                _refuse_overtaken(await overtaken_by(tx, expected, rows), None)
            return await revisions.revise(tx, session, rows, content, note, action="template.restore")


async def rename(rt: Runtime, session: Session, template_id: UUID, name: str) -> None:
    """Rename a template of the dashboard.

    Raises ``InvalidInputError`` (``name``), ``NotFoundError``, ``PrivilegeError``, ``ConflictError`` as ``restore``.
    """
    subject = label(await _rows(rt, template_id))
    async with rights.authored(rt, session, "template.rename", subject):
        check_name(name)
        async with rt.db.transaction() as tx:
            rows = await tx.templates.lock(template_id)
            refuse_foreign(rows)
            if name != rows.template.name:
                await revisions.rename(tx, session, rows, name)


async def delete(rt: Runtime, session: Session, template_id: UUID, *, name: str) -> Deleted:
    """Delete the template and its revisions, unless containers or jobs use them. Its drafts become drafts of new templates.

    ``name``: the template's name, typed to confirm. Raises ``InvalidInputError`` (``name``), ``NotFoundError``,
    ``PrivilegeError``, ``ConflictError`` as ``restore``.
    """
    subject = label(await _rows(rt, template_id))
    async with rights.authored(rt, session, "template.delete", subject), rt.db.transaction() as tx:
        # Lock drafts before the template, in the order of a save.
        await tx.drafts.detach(template_id)
        rows = await tx.templates.lock(template_id)
        refuse_foreign(rows)
        if name != rows.template.name:
            raise InvalidInputError({"name": Message.of(LibraryCode.NAME_UNCONFIRMED, name=rows.template.name)})
        kept = await tx.template_uses.is_built_from(template_id)
        if kept:
            rows.template.missing_since = now()
        else:
            await tx.templates.delete(template_id)
        await rights.audit(tx, session, "template.delete", subject, detail={"kept": kept})
        return Deleted(rows.template.name, kept)


async def _draft_name(rt: Runtime, session: Session, draft_id: UUID) -> str:
    """The draft's name for the audit; its id if it is another user's draft."""
    try:
        async with rt.db.transaction() as tx:
            named = await tx.drafts.named(owner_of(session), draft_id)
            rows = await tx.templates.get(named.template_id) if named.template_id else None
    except NotFoundError:
        return f"draft {draft_id}"
    return label(rows) if rows else f"{SourceKind.CUSTOM}/{named.name}"


async def _rows(rt: Runtime, template_id: UUID) -> TemplateRows:
    async with rt.db.transaction() as tx:
        return await tx.templates.get(template_id)


def _checked_note(note: str) -> str:
    if len(note) > MAX_NOTE_CHARS:
        raise InvalidInputError({"note": Message.of(LibraryCode.TOO_LONG, most=f"{MAX_NOTE_CHARS:,}")})
    return storable_text(note).strip()


async def _linted(rt: Runtime, session: Session, draft_id: UUID) -> checks.ShellResults:
    """Run ShellCheck before any lock is taken. A script that changes during the run gets no findings."""
    async with rt.db.transaction() as tx:
        draft = DraftContent.from_json((await tx.drafts.get(owner_of(session), draft_id)).content)
    return await checks.linted((script.content for script in draft.scripts), within_s=LINTED_WITHIN_S)


async def _validated(tx: Transaction, row: TemplateDraft, results: checks.ShellResults) -> TemplateContent:
    """The draft as a template with its findings. Locks its shared buckets until the transaction ends."""
    draft = DraftContent.from_json(row.content)
    contents = await tx.drafts.contents(row.id, {file.sha256 for file in draft.files})
    return await _as_saved(tx, draft, contents, results)


async def _restorable(
    tx: Transaction, content: TemplateContent, number: int, results: checks.ShellResults
) -> TemplateContent:
    try:
        return await _as_saved(
            tx, DraftContent.of(content), {file.sha256: file.content for file in content.files}, results
        )
    except InvalidInputError as error:
        raise InvalidInputError(error.reasons, Message.of(LibraryCode.REVISION_INVALID, number=number)) from error


async def _as_saved(
    tx: Transaction, draft: DraftContent, contents: Mapping[str, bytes], results: checks.ShellResults
) -> TemplateContent:
    held = await tx.buckets.hold({bucket.shared_id for bucket in draft.buckets if bucket.shared_id})
    shared = {
        shared_id: Bucket(
            rows.bucket.name, PackageManager(rows.bucket.manager), read_packages(rows.packages), shared_id
        )
        for shared_id, rows in held.items()
    }
    return await asyncio.to_thread(lambda: checks.with_findings(validated(draft, contents, shared), results))


def _refuse_overtaken(overtaken: Overtaken | None, over: int | None) -> None:
    if overtaken and overtaken.number != over:
        raise OvertakenError(overtaken.number, overtaken.author, overtaken.at, overtaken.changes)


async def _renamed(
    tx: Transaction, session: Session, row: TemplateDraft, rows: TemplateRows, content: TemplateContent
) -> TemplateContent:
    """Rename the template if the user changed the draft's name. Otherwise use the template's current name."""
    current = rows.template.name
    if content.name in {row.base_name, current}:
        return replace(content, name=current)
    if current != row.base_name:
        raise InvalidInputError({"name": Message.of(LibraryCode.RENAMED, name=current)})
    await revisions.rename(tx, session, rows, content.name)
    return content


async def _unlinked(tx: Transaction, content: TemplateContent) -> TemplateContent:
    """The content without links to shared buckets that were deleted or changed since the revision."""
    held = await tx.buckets.hold({bucket.shared_id for bucket in content.buckets if bucket.shared_id})
    now_shared = {shared_id: (rows.bucket.name, read_packages(rows.packages)) for shared_id, rows in held.items()}
    buckets = tuple(
        bucket
        if bucket.shared_id and now_shared.get(bucket.shared_id) == (bucket.name, bucket.packages)
        else replace(bucket, shared_id=None)
        for bucket in content.buckets
    )
    return replace(content, buckets=buckets)


# The name determines the position, and the hash determines the size.
_NO_CHANGE: Final = frozenset({"position", "size"})

Part = TypeVar("Part", Script, DraftFile, Bucket, TemplateConfig)
Item = TypeVar("Item", Script, DraftFile, Bucket)


@dataclass(frozen=True, slots=True)
class Merged:
    """``kept``: paths that both changed differently, with mine in use: ``config.cpu``, ``scripts.10-a.sh``, ``files.motd``."""

    content: DraftContent
    kept: tuple[str, ...] = ()


def merge(base: DraftContent, theirs: DraftContent, mine: DraftContent) -> Merged:
    """``mine`` with the changes from ``base`` to ``theirs``, field by field. Pure."""
    kept: list[str] = []
    config = _fields(base.config, theirs.config, mine.config, "config", kept)
    scripts = _items(base.scripts, theirs.scripts, mine.scripts, _named("scripts"), kept)
    files = _items(base.files, theirs.files, mine.files, _named("files"), kept)
    buckets = _items(base.buckets, theirs.buckets, mine.buckets, _bucket_name, kept)
    content = DraftContent(
        name=theirs.name if mine.name == base.name else mine.name,
        config=config,
        scripts=_placed(scripts),
        files=tuple(sorted(files, key=lambda file: file.name)),
        buckets=tuple(sorted(buckets, key=lambda bucket: (bucket.name, bucket.manager))),
    )
    return Merged(content, tuple(kept))


def _named(part: str) -> Callable[[Any], str]:
    return lambda item: f"{part}.{item.name}"


def _bucket_name(bucket: Bucket) -> str:
    return f"packages.{bucket.name}.{bucket.manager}"


def _items(
    base: Sequence[Item],
    theirs: Sequence[Item],
    mine: Sequence[Item],
    name_of: Callable[[Any], str],
    kept: list[str],
) -> list[Item]:
    """Merge lists by name. If an invalid draft has a name twice, the second item does not change."""
    before, other = _by_name(base, name_of), _by_name(theirs, name_of)
    found: list[Item] = []
    seen: set[str] = set()
    for item in mine:
        name = name_of(item)
        merged = item if name in seen else _one(before.get(name), other.get(name), item, name, kept)
        seen.add(name)
        found.extend([merged] if merged is not None else [])
    for name, item in other.items():
        if name in seen:
            continue
        if name not in before:
            found.append(item)
        elif not _same(before[name], item):
            kept.append(name)  # removed in mine, changed in theirs
    return found


def _one(before: Item | None, other: Item | None, item: Item, name: str, kept: list[str]) -> Item | None:
    """The merged item; None if it is removed in theirs and unchanged in mine."""
    if other is None:
        if before is None:
            return item
        if _same(before, item):
            return None
        kept.append(name)
        return item
    if before is None:
        if not _same(other, item):
            kept.append(name)
        return item
    if isinstance(item, Bucket):
        return _whole(before, other, item, name, kept)
    return _fields(before, other, item, name, kept)


def _whole(before: Item, other: Item, item: Item, name: str, kept: list[str]) -> Item:
    if _same(before, item):
        return other
    if not _same(before, other) and not _same(other, item):
        kept.append(name)
    return item


def _fields(before: Part, other: Part, item: Part, name: str, kept: list[str]) -> Part:
    taken: dict[str, Any] = {}
    for known in fields(item):
        old, new, own = (getattr(side, known.name) for side in (before, other, item))
        if known.name in _NO_CHANGE or new in (old, own):
            continue
        if own == old:
            taken[known.name] = new
        else:
            kept.append(f"{name}.{known.name}")
    if "sha256" in taken and isinstance(other, DraftFile):
        taken["size"] = other.size
    return replace(item, **taken)


def _same(one: Any, other: Any) -> bool:
    return all(
        getattr(one, known.name) == getattr(other, known.name) for known in fields(one) if known.name not in _NO_CHANGE
    )


def _by_name(items: Iterable[Item], name_of: Callable[[Any], str]) -> Mapping[str, Item]:
    return {name_of(item): item for item in items}


def _placed(scripts: Iterable[Script]) -> tuple[Script, ...]:
    ordered = sorted(scripts, key=lambda script: script_order(script.name))
    return tuple(replace(script, position=position) for position, script in enumerate(ordered))


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The draft now contains revision ``number``. ``kept`` as in ``Merged``."""

    number: int
    author: str
    kept: tuple[str, ...]
    updated_at: datetime


async def take_over(rt: Runtime, session: Session, draft_id: UUID, *, seen: int) -> TakenOver:
    """Merge the changes of revision ``seen`` into the draft, and make this revision the draft's base.

    If both changed a field, the draft's value stays. Raises ``NotFoundError`` for a draft of a new template, ``PrivilegeError``.
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


def _content(name: str, side: Side) -> DraftContent:
    files = tuple(each.file for each in side.files)
    return DraftContent(name, side.config, tuple(side.scripts), files, tuple(side.buckets))
