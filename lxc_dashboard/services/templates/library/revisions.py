"""Creates revisions of templates inside a transaction, loads them and compares them."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.models import (
    FilePolicy,
    Package,
    PackageBucket,
    PackageManager,
    SourceKind,
    Template,
    TemplateFile,
    TemplateRevision,
    TemplateScript,
    now,
)
from lxc_dashboard.db.repositories.templates import FileRow, RevisionRows, TemplateRows
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.library.diff import MAX_TEXT_BYTES, Difference, FileSide, Side, compare_sides
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    FileSummary,
    Finding,
    PackageEntry,
    RevisionSummary,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.rights import require_session


def revision_rows(template_id: UUID, number: int, content: TemplateContent, *, author: str, note: str) -> RevisionRows:
    """The rows of a new revision, with ids."""
    revision = TemplateRevision(
        template_id=template_id,
        number=number,
        config=content.config.to_json(),
        warnings=warnings_json(content.warnings),
        checksum=content.checksum(),
        author=author,
        note=note,
    )
    return RevisionRows(
        revision,
        scripts=[TemplateScript(revision_id=revision.id, **_fields(script)) for script in content.scripts],
        files=[TemplateFile(revision_id=revision.id, sha256=file.sha256, **_fields(file)) for file in content.files],
        buckets=[_bucket_rows(revision.id, bucket) for bucket in content.buckets],
    )


def warnings_json(warnings: Sequence[Finding]) -> list[Any]:
    return [warning.to_json() for warning in warnings]


def read_warnings(revision: TemplateRevision) -> tuple[Finding, ...]:
    return tuple(Finding.from_json(warning) for warning in revision.warnings)


def read_config(revision: TemplateRevision) -> TemplateConfig:
    return TemplateConfig.from_json(revision.config)


def read_scripts(rows: Sequence[TemplateScript]) -> tuple[Script, ...]:
    """The scripts in the order of ``rows``, which is the order of the run."""
    return tuple(
        Script(
            name=row.name,
            content=row.content,
            position=row.position,
            description=row.description,
            timeout_s=row.timeout_s,
            enabled=row.enabled,
            optional=row.optional,
        )
        for row in rows
    )


def read_file(row: TemplateFile) -> FileEntry:
    return FileEntry(
        name=row.name,
        target_dir=row.target_dir,
        policy=FilePolicy(row.policy),
        content=row.content,
        mode=row.mode,
        owner=row.owner,
    )


def read_files(rows: Sequence[TemplateFile]) -> tuple[FileEntry, ...]:
    """The files by name."""
    return tuple(sorted(map(read_file, rows), key=lambda file: file.name))


def read_file_list(rows: Sequence[FileRow]) -> tuple[FileSummary, ...]:
    """The files by name, without contents."""
    found = [
        FileSummary(
            name=row.name,
            target=f"{row.target_dir.rstrip('/')}/{row.name}",
            policy=FilePolicy(row.policy),
            mode=row.mode,
            owner=row.owner,
            sha256=row.sha256,
            size=row.size,
            is_text=is_text(row.head, whole=len(row.head) == row.size),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda file: file.name))


def is_text(content: bytes, *, whole: bool = True) -> bool:
    """Whether the content can be shown: UTF-8 without NUL. If not ``whole``, the last character may be cut."""
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError:
        return False


def read_buckets(rows: Sequence[tuple[PackageBucket, Sequence[Package]]]) -> tuple[Bucket, ...]:
    """The buckets by name and manager."""
    found = [
        Bucket(
            bucket.name,
            PackageManager(bucket.manager),
            read_packages(packages),
            bucket.shared_id,
        )
        for bucket, packages in rows
    ]
    return tuple(sorted(found, key=lambda bucket: (bucket.name, bucket.manager)))


def read_packages(rows: Sequence[Package]) -> tuple[PackageEntry, ...]:
    """The packages in the order of ``rows``."""
    return tuple(PackageEntry(p.spec, p.check_command, p.install_command, p.timeout_s) for p in rows)


def _fields(part: Script | FileEntry) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


def _bucket_rows(revision_id: UUID, bucket: Bucket) -> tuple[PackageBucket, list[Package]]:
    row = PackageBucket(
        revision_id=revision_id, shared_id=bucket.shared_id, name=bucket.name, manager=bucket.manager.value
    )
    return row, package_rows(row.id, bucket.packages)


def package_rows(bucket_id: UUID, packages: Sequence[PackageEntry]) -> list[Package]:
    """The rows of a bucket's packages, in their order."""
    return [
        Package(
            bucket_id=bucket_id,
            position=position,
            spec=package.spec,
            check_command=package.check,
            install_command=package.install,
            timeout_s=package.timeout_s,
        )
        for position, package in enumerate(packages)
    ]


def label(rows: TemplateRows) -> str:
    """The template's name for the audit."""
    return f"{rows.source.name}/{rows.template.name}"


async def difference(
    session: Session, db: DatabaseService, template_id: UUID, old_number: int, new_number: int
) -> Difference:
    """The changes from one revision to another. Raises ``NotFoundError``, ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        sides = await load_sides(tx, template_id, old_number, new_number)
    return await asyncio.to_thread(compare_sides, *sides)


async def load_sides(tx: Transaction, template_id: UUID, old_number: int, new_number: int) -> tuple[Side, Side]:
    """Two revisions to compare, with the contents of the files that differ. Raises ``NotFoundError``."""
    old = await tx.templates.numbered(template_id, old_number)
    new = await tx.templates.numbered(template_id, new_number)
    sides = await load_side(tx, old), await load_side(tx, new)
    hashes: list[Mapping[str, str]] = [{side.file.name: side.file.sha256 for side in of.files} for of in sides]
    same = {name for name, sha256 in hashes[0].items() if hashes[1].get(name) == sha256}
    return await _with_contents(tx, old.id, sides[0], same), await _with_contents(tx, new.id, sides[1], same)


async def load_side(tx: Transaction, revision: TemplateRevision) -> Side:
    """A revision without the contents of its files."""
    return Side(
        config=read_config(revision),
        scripts=read_scripts(await tx.templates.scripts(revision.id)),
        buckets=read_buckets(await tx.templates.buckets(revision.id)),
        files=[FileSide(_file(row)) for row in sorted(await tx.templates.file_list(revision.id), key=lambda r: r.name)],
    )


async def _with_contents(tx: Transaction, revision_id: UUID, side: Side, same: set[str]) -> Side:
    names = [of.file.name for of in side.files if of.file.name not in same and of.file.size <= MAX_TEXT_BYTES]
    contents = await tx.templates.file_contents(revision_id, names)
    return replace(side, files=[replace(of, content=contents.get(of.file.name)) for of in side.files])


def _file(row: FileRow) -> DraftFile:
    return DraftFile(row.name, row.target_dir, FilePolicy(row.policy), row.mode, row.owner, row.sha256, row.size)


async def create(tx: Transaction, session: Session, content: TemplateContent, note: str) -> RevisionSummary:
    """Create a template. A deleted one of the same name is restored with its revisions."""
    source = await tx.templates.own_source(SourceKind.CUSTOM)
    await tx.templates.lock_source(source.id)
    known = await tx.templates.named(source.id, content.name)
    if known and known.template.missing_since is None:
        raise InvalidInputError({"name": Message.of(LibraryCode.NAME_TAKEN)})
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
        exists = known.template.missing_since is None
        taken = Message.of(LibraryCode.NAME_TAKEN if exists else LibraryCode.NAME_TAKEN_BY_DELETED)
        raise InvalidInputError({"name": taken})
    was = label(rows)
    rows.template.name = name
    rows.template.updated_at = now()
    await rights.audit(tx, session, "template.rename", was, detail={"name": name})


async def revise(
    tx: Transaction, session: Session, rows: TemplateRows, content: TemplateContent, note: str, *, action: str
) -> RevisionSummary:
    """Add the next revision to a locked template if the content changed."""
    template, current = rows.template, rows.revision
    before = await load_side(tx, current)
    back = template.missing_since is not None
    template.missing_since = None
    if current.checksum == content.checksum() and _links(before.buckets) == _links(content.buckets):
        if back:
            await rights.audit(tx, session, action, label(rows), detail={"number": current.number, "back": True})
        # The checks may have changed since the revision.
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
    """The numbers of changes, for the audit. Files are compared by their hashes."""
    after = Side.of_draft(DraftContent.of(content))
    return (await asyncio.to_thread(compare_sides, before, after)).counted()


def _links(buckets: Iterable[Bucket]) -> set[tuple[str, str, UUID | None]]:
    return {(bucket.name, bucket.manager, bucket.shared_id) for bucket in buckets}


def _shown(content: TemplateContent) -> dict[str, Any]:
    return {"description": content.config.description, "tags": list(content.config.tags)}


def _summary(revision: TemplateRevision, *, unchanged: bool = False) -> RevisionSummary:
    return RevisionSummary(revision.id, revision.number, revision.author, revision.note, revision.created_at, unchanged)
