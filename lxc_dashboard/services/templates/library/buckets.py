"""Shared package buckets: lists used by several templates.

A revision stores a copy of the packages. A change of a bucket makes a new revision of every template that uses it, in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import PackageBucket, PackageManager, now
from lxc_dashboard.db.repositories.buckets import BucketRows, UseRow
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, RuleError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.checks import rechecked
from lxc_dashboard.services.templates.format.packages import Listing, check_bucket_name, read_listing, without_logins
from lxc_dashboard.services.templates.library.catalog import load_revision
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.library.revisions import package_rows, read_packages, revision_rows
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, TemplateContent

NOTE_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A template whose current revision refers to the bucket."""

    template_id: UUID
    name: str
    source_name: str
    revision_number: int


@dataclass(frozen=True, slots=True)
class BucketSummary:
    """A bucket in a list; ``packages``: their number."""

    id: UUID
    name: str
    manager: PackageManager
    packages: int
    uses: tuple[BucketUse, ...]
    updated_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BucketDetail:
    """A whole bucket. ``listing``: the author's text; ``updated_at`` is its version."""

    id: UUID
    name: str
    manager: PackageManager
    listing: str
    packages: tuple[PackageEntry, ...]
    uses: tuple[BucketUse, ...]
    updated_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Edited:
    """A bucket after an edit. ``changed``: the edit changed it; ``revised``: the templates with a new revision."""

    bucket: BucketDetail
    revised: tuple[BucketUse, ...] = ()
    changed: bool = True


async def list_buckets(rt: Runtime, session: Session) -> list[BucketSummary]:
    """All buckets by name and manager. Raises ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        found, uses = await tx.buckets.list(), await tx.buckets.uses()
    by_bucket: dict[UUID, list[UseRow]] = {}
    for use in uses:
        by_bucket.setdefault(use.bucket_id, []).append(use)
    return [
        BucketSummary(
            id=row.id,
            name=row.name,
            manager=PackageManager(row.manager),
            packages=packages,
            uses=_uses(by_bucket.get(row.id, ())),
            updated_by=row.updated_by,
            updated_at=row.updated_at,
        )
        for row, packages in found
    ]


async def get_bucket(rt: Runtime, session: Session, bucket_id: UUID) -> BucketDetail:
    """Raises ``NotFoundError``, ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        return _detail(await tx.buckets.get(bucket_id), await tx.buckets.uses(bucket_id))


async def create(rt: Runtime, session: Session, name: str, manager: str, listing: str) -> BucketDetail:
    """Create a bucket. ``listing`` is in the format of a template's package lists.

    Raises ``InvalidInputError`` (``name``, ``manager``, ``listing``), ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "bucket.create", f"{name}.{manager}"):
        kind, found = _read(name, manager, listing)
        who = session.userid
        row = PackageBucket(name=name, manager=kind.value, listing=found.text, created_by=who, updated_by=who)
        async with rt.db.transaction() as tx:
            await _refuse_taken(tx, name, kind.value)
            await tx.buckets.add(row, package_rows(row.id, found.packages))
            await rights.audit(tx, session, "bucket.create", _label(row), detail={"packages": len(found.packages)})
            return _detail(await tx.buckets.get(row.id), ())


async def edit(rt: Runtime, session: Session, bucket_id: UUID, name: str, listing: str, *, version: datetime) -> Edited:
    """Store the bucket's name and list, and make a new revision of every template that this changes.

    ``version``: the ``updated_at`` of the bucket that the user edited. Raises ``ConflictError`` if the bucket was changed
    since, ``InvalidInputError`` (``name``, ``listing``), ``NotFoundError``, ``PrivilegeError``.
    """
    subject = await _subject(rt, session, bucket_id)
    async with rights.authored(rt, session, "bucket.edit", subject), rt.db.transaction() as tx:
        rows = await tx.buckets.lock(bucket_id)
        _refuse_overtaken(rows.bucket, version)
        _, found = _read(name, rows.bucket.manager, listing)
        return await _store(tx, session, rows, name, found)


async def delete(
    rt: Runtime, session: Session, bucket_id: UUID, *, name: str, version: datetime
) -> tuple[BucketUse, ...]:
    """Delete the bucket; return the templates that used it, which keep its packages as their own.

    ``name``: the bucket's name, typed to confirm. Raises ``ConflictError`` if it was changed since ``version``,
    ``InvalidInputError`` (``name``), ``NotFoundError``, ``PrivilegeError``.
    """
    subject = await _subject(rt, session, bucket_id)
    async with rights.authored(rt, session, "bucket.delete", subject), rt.db.transaction() as tx:
        rows = await tx.buckets.lock(bucket_id)
        _refuse_overtaken(rows.bucket, version)
        if name != rows.bucket.name:
            raise InvalidInputError({"name": Message.of(LibraryCode.BUCKET_NAME_UNCONFIRMED, name=rows.bucket.name)})
        uses = _uses(await tx.buckets.uses(bucket_id))
        await tx.buckets.delete(bucket_id)
        detail = {"packages": len(rows.packages), "used_by": [use.name for use in uses]}
        await rights.audit(tx, session, "bucket.delete", _label(rows.bucket), detail=detail)
        return uses


async def _store(tx: Transaction, session: Session, rows: BucketRows, name: str, found: Listing) -> Edited:
    row, label = rows.bucket, _label(rows.bucket)
    if (row.name, row.listing) == (name, found.text):
        return Edited(_detail(rows, await tx.buckets.uses(row.id)), changed=False)
    if row.name != name:
        await _refuse_taken(tx, name, row.manager)
    before = Bucket(row.name, PackageManager(row.manager), read_packages(rows.packages), row.id)
    after = replace(before, name=name, packages=found.packages)
    row.name, row.listing, row.updated_by, row.updated_at = name, found.text, session.userid, _later(row.updated_at)
    if before.packages != after.packages:
        await tx.buckets.replace_packages(row.id, package_rows(row.id, after.packages))
    change = _change(before, after)
    revised = await _revise(tx, session, after, f"Shared bucket {label}: {change}")
    detail = {"change": change, "name": name, "revised": [f"{use.name} r{use.revision_number}" for use in revised]}
    await rights.audit(tx, session, "bucket.edit", label, detail=detail)
    return Edited(_detail(await tx.buckets.get(row.id), await tx.buckets.uses(row.id)), revised)


async def _revise(tx: Transaction, session: Session, bucket: Bucket, note: str) -> tuple[BucketUse, ...]:
    revised = []
    for use in await tx.buckets.uses(bucket.shared_id, lock=True):
        before = (await load_revision(tx, use.revision.id)).content
        content = rechecked(_resolved(before, bucket))
        if content.checksum() == before.checksum():
            continue
        use.template.revision_number += 1
        use.template.updated_at = now()
        number = use.template.revision_number
        await tx.templates.add_revisions(
            [revision_rows(use.template.id, number, content, author=session.userid, note=note)]
        )
        revised.append(_use(use))
    return tuple(revised)


def _resolved(content: TemplateContent, bucket: Bucket) -> TemplateContent:
    """The content with the bucket's current packages.

    Raises ``InvalidInputError`` if the template has a list of its own with the bucket's name.
    """
    others = tuple(own for own in content.buckets if own.shared_id != bucket.shared_id)
    if any((own.name, own.manager) == (bucket.name, bucket.manager) for own in others):
        taken = Message.of(LibraryCode.LIST_OF_ITS_OWN, template=content.name, list=bucket.name)
        raise InvalidInputError({"name": taken})
    return replace(content, buckets=tuple(sorted((*others, bucket), key=lambda b: (b.name, b.manager))))


def _change(before: Bucket, after: Bucket) -> str:
    """The note of a revision that this change of a bucket makes."""
    old, new = set(before.packages), set(after.packages)
    # A changed version pin counts as one package removed and one added.
    parts = [f"now called {after.name}"] if before.name != after.name else []
    parts += [
        f"{verb} {', '.join(sorted(p.spec for p in packages))}"
        for verb, packages in (("added", new - old), ("removed", old - new))
        if packages
    ]
    if not parts:
        parts = ["another order"] if before.packages != after.packages else ["comments"]
    note = without_logins("; ".join(parts))
    return note if len(note) <= NOTE_CHARS else f"{note[: NOTE_CHARS - 1].rstrip()}…"


def _later(before: datetime) -> datetime:
    """The current time, but always later than ``before``, since it serves as a version."""
    return max(now(), before + timedelta(microseconds=1))


def _read(name: str, manager: str, listing: str) -> tuple[PackageManager, Listing]:
    faults: dict[str, Message | str] = {}
    try:
        check_bucket_name(name)
    except RuleError as error:
        faults["name"] = error.reason
    if manager not in set(PackageManager):
        unknown = Message.of(LibraryCode.BUCKET_MANAGER_UNKNOWN, managers=list(PackageManager))
        raise InvalidInputError(faults | {"manager": unknown})
    kind = PackageManager(manager)
    found = read_listing(name, kind, listing)
    if found.faults:
        first = found.faults[0]
        faults["listing"] = first.reason
    if faults:
        raise InvalidInputError(faults)
    return kind, found


async def _refuse_taken(tx: Transaction, name: str, manager: str) -> None:
    """Report a taken name beside its field. The table's index catches two requests at once, as a conflict."""
    if await tx.buckets.named(name, manager):
        raise InvalidInputError({"name": Message.of(LibraryCode.BUCKET_NAME_TAKEN, manager=manager)})


def _refuse_overtaken(row: PackageBucket, version: datetime) -> None:
    if row.updated_at != version:
        reason = Message.of(LibraryCode.BUCKET_CHANGED, bucket=_label(row))
        if row.updated_by:
            reason = Message.of(LibraryCode.BUCKET_CHANGED_BY, by=row.updated_by, bucket=_label(row))
        raise ConflictError(reason)


async def _subject(rt: Runtime, session: Session, bucket_id: UUID) -> str:
    """The bucket's name for the audit; its id if it does not exist."""
    rights.require_session(session)
    try:
        async with rt.db.transaction() as tx:
            return _label((await tx.buckets.get(bucket_id)).bucket)
    except NotFoundError:
        return str(bucket_id)


def _label(row: PackageBucket) -> str:
    return f"{row.name}.{row.manager}"


def _detail(rows: BucketRows, uses: Iterable[UseRow]) -> BucketDetail:
    row = rows.bucket
    return BucketDetail(
        id=row.id,
        name=row.name,
        manager=PackageManager(row.manager),
        listing=row.listing,
        packages=read_packages(rows.packages),
        uses=_uses(uses),
        updated_by=row.updated_by,
        updated_at=row.updated_at,
    )


def _uses(rows: Iterable[UseRow]) -> tuple[BucketUse, ...]:
    return tuple(_use(row) for row in rows)


def _use(row: UseRow) -> BucketUse:
    return BucketUse(row.template.id, row.template.name, row.source.name, row.template.revision_number)
