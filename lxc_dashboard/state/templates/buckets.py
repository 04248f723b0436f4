"""Shared package buckets: the list and the open bucket. Input for each bucket stays until it is saved or discarded.

Input fields hold their own text. ``opened`` counts how often the server filled them. A new count rebuilds them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError
from lxc_dashboard.services.templates.format.packages import (
    MAX_BUCKET_NAME_CHARS,
    MAX_TYPED_CHARS,
    Listing,
    read_listing,
)
from lxc_dashboard.services.templates.library import buckets
from lxc_dashboard.services.templates.library.buckets import BucketDetail, BucketSummary, BucketUse
from lxc_dashboard.services.templates.library.line_diff import LineDiffer, LineKind
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.state.base import PageState, notify, notify_warning, requires, runtime, session, uuid_of
from lxc_dashboard.state.templates.rows import counted

NEW: Final = "new"
NAMED_AT_ONCE: Final = 6
DIFF_LINES: Final = 200
SIGNS: Final = {LineKind.ADDED: "+", LineKind.REMOVED: "-"}
QUERY_CHARS: Final = 200
# One more than allowed, so that the check reports it.
LISTING_CHARS: Final = MAX_TYPED_CHARS + 1
NAME_CHARS: Final = MAX_BUCKET_NAME_CHARS + 1


@dataclass(frozen=True)
class BucketRow:
    """A bucket in the list."""

    id: str
    name: str
    manager: str
    packages: int
    templates: int
    updated_by: str
    updated_at: str
    href: str
    unsaved: bool = False


@dataclass(frozen=True)
class UseRow:
    """A template that uses the bucket; ``note``: its source and revision."""

    name: str
    note: str
    href: str


@dataclass(frozen=True)
class FaultRow:
    """An error in the list, which ``components.code`` shows beside the line. ``place``: the line in words."""

    line: int
    column: int
    level: str
    code: str
    message: str
    place: str


@dataclass(frozen=True)
class DiffLine:
    """A line that another user changed: ``sign`` + or -."""

    sign: str
    line: str


@dataclass(frozen=True)
class Base:
    """A bucket as it was opened; ``version`` is None for a new one."""

    name: str = ""
    manager: str = PackageManager.APT.value
    listing: str = ""
    packages: tuple[PackageEntry, ...] = ()
    version: datetime | None = None

    @classmethod
    def of(cls, bucket: BucketDetail) -> Base:
        return cls(bucket.name, bucket.manager.value, bucket.listing, bucket.packages, bucket.updated_at)


@dataclass(frozen=True)
class Work:
    """A bucket with the user's input."""

    base: Base = Base()
    name: str = ""
    manager: str = PackageManager.APT.value
    listing: str = ""

    @classmethod
    def of(cls, base: Base) -> Work:
        return cls(base, base.name, base.manager, base.listing)

    @property
    def unsaved(self) -> bool:
        return (self.name, self.manager, self.listing) != (self.base.name, self.base.manager, self.base.listing)

    @property
    def label(self) -> str:
        """The bucket's saved name with its manager."""
        return f"{self.base.name}.{self.base.manager}" if self.base.version else text.BUCKET_NEW

    def read(self) -> Listing:
        return read_listing(self.name, PackageManager(self.manager), self.listing)

    def rebased(self, base: Base) -> Work:
        """The same input, now as a change of ``base``."""
        return replace(self, base=base)


def name_of(typed: str) -> str:
    """The input as a bucket's name."""
    return typed.strip()[:NAME_CHARS]


def row_of(bucket: BucketSummary) -> BucketRow:
    return BucketRow(
        id=str(bucket.id),
        name=bucket.name,
        manager=bucket.manager.value,
        packages=bucket.packages,
        templates=len(bucket.uses),
        updated_by=bucket.updated_by,
        updated_at=bucket.updated_at.isoformat(),
        href=routes.bucket(bucket.id),
    )


def searched(bucket: BucketSummary) -> str:
    """The text that the filter searches."""
    return " ".join((bucket.name, bucket.manager.value, *(use.name for use in bucket.uses))).lower()


def use_rows(uses: Sequence[BucketUse]) -> list[UseRow]:
    return [
        UseRow(use.name, f"{use.source_name} r{use.revision_number}", routes.template(use.template_id)) for use in uses
    ]


def fault_rows(found: Listing) -> list[FaultRow]:
    return [
        FaultRow(
            fault.line,
            1,
            "error",
            "",
            text.in_words_of(fault.message),
            text.BUCKET_LINE.format(line=fault.line) if fault.line else text.BUCKET_WHOLE,
        )
        for fault in found.faults
    ]


def named(uses: Sequence[BucketUse], *, numbers: bool = False) -> str:
    """``web, db``, or with revisions ``web r3, db r7``. Templates beyond ``NAMED_AT_ONCE`` are only counted."""
    names = [f"{use.name} r{use.revision_number}" if numbers else use.name for use in uses]
    shown = ", ".join(names[:NAMED_AT_ONCE])
    left = len(names) - NAMED_AT_ONCE
    return text.BUCKET_MORE.format(names=shown, count=left) if left > 0 else shown


def said_of(sentence: str, uses: Sequence[BucketUse]) -> str:
    """``sentence`` with the number of templates as ``{count}`` and their names as ``{templates}``."""
    return sentence.format(count=counted(len(uses), "template"), templates=named(uses))


def touches(work: Work, found: Listing, uses: Sequence[BucketUse]) -> str:
    """The text about templates that get a new revision from a save; empty if it is not known yet."""
    if not uses or not work.unsaved or found.faults:
        return ""
    same = (work.name, found.packages) == (work.base.name, work.base.packages)
    return text.BUCKET_TOUCHES_NONE if same else said_of(text.BUCKET_TOUCHES, uses)


def changed_lines(old: str, new: str) -> list[DiffLine]:
    """The changed lines in their order, at most ``DIFF_LINES``."""
    compared = LineDiffer().compare(old, new).lines
    found = [DiffLine(SIGNS[line.kind], line.text) for line in compared if line.kind in SIGNS]
    return found[:DIFF_LINES]


class BucketsState(PageState, rx.State):
    """``chosen``: the id of the open bucket, ``new``, or empty. ``overtaken``: the user who changed it since it was opened."""

    rows: list[BucketRow] = []
    total: int = 0
    query: str = ""
    chosen: str = ""
    gone: bool = False
    opened: int = 0
    label: str = ""
    name: str = ""
    saved_name: str = ""
    manager: str = ""
    listing: str = ""
    updated_by: str = ""
    updated_at: str = ""
    count: str = ""
    unsaved: bool = False
    faults: list[FaultRow] = []
    fault_count: str = ""
    name_fault: str = ""
    refusals: int = 0
    go_to: dict[str, int] = {}
    uses: list[UseRow] = []
    used: str = ""
    touches: str = ""
    delete_means: str = ""
    overtaken: str = ""
    overtaken_name: str = ""
    overtaken_lines: list[DiffLine] = []
    replacing: str = ""
    _all: list[tuple[BucketRow, str]] = []
    _works: dict[str, Work] = {}
    _uses: tuple[BucketUse, ...] = ()
    _theirs: BucketDetail | None = None

    @requires()
    async def load(self) -> None:
        """Show the list, and the bucket in the address."""
        async with self._filling():
            await self._read()
            await self._open(str(self.router.url.query_parameters.get("bucket", "")))
            self._show(empty=not self._all and self.chosen != NEW and not self.gone)

    @requires()
    async def search(self, query: str) -> None:
        """Filter while the user types."""
        self.query = query[:QUERY_CHARS]
        self._filter()

    @requires()
    async def typed(self, key: str, listing: str) -> None:
        """Take the typed list of the bucket ``key``."""
        if key in self._works:
            self._works[key] = replace(self._works[key], listing=listing[:LISTING_CHARS])
            self._look(key)

    @requires()
    async def renamed(self, key: str, name: str) -> None:
        """Take the typed name of the bucket ``key``."""
        if key in self._works:
            self._works[key] = replace(self._works[key], name=name_of(name))
            self.name_fault = ""
            self._look(key)

    @requires()
    async def managed(self, manager: str) -> None:
        """Set the manager of the new bucket."""
        if NEW in self._works and manager in set(PackageManager):
            self._works[NEW] = replace(self._works[NEW], manager=manager)
            self.manager = manager
            self._look(NEW)

    @requires()
    async def show_line(self, line: int) -> None:
        """Move the cursor to a line."""
        self._lead_to(line)

    @requires()
    async def discard(self) -> None:
        """Discard the input for the open bucket and show what is saved."""
        self._works.pop(self.chosen, None)
        await self._open(self.chosen)

    @requires()
    async def keep_mine(self) -> None:
        """Keep the input as a change of the other user's version."""
        theirs, work = self._theirs, self._works.get(self.chosen)
        if theirs is not None and work is not None:
            self._works[self.chosen] = work.rebased(Base.of(theirs))
            self._forget_theirs()
            self.replacing = text.BUCKET_REPLACING.format(userid=theirs.updated_by)
            self._look(self.chosen)

    @requires()
    async def save(self, data: dict[str, Any]) -> AsyncIterator[Any]:
        """Save the open bucket. ``data``: the form, whose name may not have been sent before."""
        key, work = str(data.get("key", "")), self._works.get(self.chosen)
        if key != self.chosen or work is None:
            return
        work = replace(work, name=name_of(str(data.get("name", work.name))))
        self._works[key] = work
        self._look(key)
        if self.faults:
            self._lead_to(max(1, self.faults[0].line))
            return
        try:
            events = await (self._create(work) if key == NEW else self._edit(key, work))
        except InvalidInputError as error:
            if set(error.fields) != {"name"}:
                raise
            self.name_fault = error.fields["name"]
            self.refusals += 1
            return
        for event in events:
            yield event

    @requires()
    async def delete(self, typed: str) -> AsyncIterator[Any]:
        """Delete the open bucket if ``typed`` is its name."""
        key, work = self.chosen, self._works.get(self.chosen)
        if work is None or work.base.version is None:
            return
        version = work.base.version
        try:
            uses = await buckets.delete(
                runtime(), session(), uuid_of(key, text.BUCKET_GONE), name=typed, version=version
            )
        except ConflictError:
            if not await self._overtake(key):
                raise
            return
        except NotFoundError:
            self._works.pop(key, None)
            yield notify_warning(text.BUCKET_GONE)
            yield rx.redirect(routes.BUCKETS)
            return
        self._works.pop(key, None)
        message = text.BUCKET_DELETED_KEPT if uses else text.BUCKET_DELETED
        yield notify(message.format(name=work.label, templates=named(uses)))
        yield rx.redirect(routes.BUCKETS)

    async def _create(self, work: Work) -> list[Any]:
        made = await buckets.create(runtime(), session(), work.name, work.manager, work.listing)
        self._works.pop(NEW, None)
        name = f"{made.name}.{made.manager.value}"
        return [notify(text.BUCKET_CREATED.format(name=name)), rx.redirect(routes.bucket(made.id))]

    async def _edit(self, key: str, work: Work) -> list[Any]:
        if work.base.version is None:
            return []
        try:
            edited = await buckets.edit(
                runtime(), session(), uuid_of(key, text.BUCKET_GONE), work.name, work.listing, version=work.base.version
            )
        except ConflictError:
            if not await self._overtake(key):
                raise
            return []
        except NotFoundError:
            return await self._taken_away(key, work)
        self._works.pop(key, None)
        await self._read()
        await self._open(key)
        if not edited.changed:
            return [notify(text.BUCKET_UNCHANGED.format(name=self.label))]
        message = text.BUCKET_SAVED_REVISED if edited.revised else text.BUCKET_SAVED
        return [notify(message.format(name=self.label, templates=named(edited.revised, numbers=True)))]

    async def _taken_away(self, key: str, work: Work) -> list[Any]:
        """Offer the input for a deleted bucket as a new, unsaved bucket."""
        self._works.pop(key, None)
        self._works[NEW] = work.rebased(Base(manager=work.manager))
        return [notify_warning(text.BUCKET_TAKEN_AWAY.format(name=work.label)), rx.redirect(routes.bucket(NEW))]

    async def _overtake(self, key: str) -> bool:
        """Show the changes that another user made since the bucket was opened. Return whether there are any."""
        theirs, work = await buckets.get_bucket(runtime(), session(), uuid_of(key, text.BUCKET_GONE)), self._works[key]
        if theirs.updated_at == work.base.version:
            return False
        self._theirs = theirs
        self._take(theirs)
        self.overtaken = theirs.updated_by
        renamed = theirs.name != work.base.name
        self.overtaken_name = text.BUCKET_OVERTAKEN_NAME.format(name=theirs.name) if renamed else ""
        self.overtaken_lines = changed_lines(work.base.listing, theirs.listing)
        return True

    async def _open(self, key: str) -> None:
        """Fill the inputs with the bucket, or with earlier input for it."""
        self._forget_theirs()
        self._works = {other: work for other, work in self._works.items() if work.unsaved}
        self.name_fault, self.replacing, self.gone = "", "", False
        bucket = await self._find(key)
        if bucket is None and key != NEW:
            self.chosen, self.gone = "", key != ""
            self._filter()
            return
        self.chosen, self.opened = key, self.opened + 1
        work = self._works.setdefault(key, Work.of(Base.of(bucket) if bucket else Base()))
        self.name, self.manager, self.listing = work.name, work.manager, work.listing
        self._take(bucket)
        if bucket is not None and bucket.updated_at != work.base.version:
            await self._overtake(key)
        self._look(key)

    async def _find(self, key: str) -> BucketDetail | None:
        try:
            return await buckets.get_bucket(runtime(), session(), uuid_of(key, text.BUCKET_GONE))
        except NotFoundError:
            return None

    def _take(self, bucket: BucketDetail | None) -> None:
        """Show the stored facts about the bucket."""
        self._uses = bucket.uses if bucket else ()
        self.uses = use_rows(self._uses)
        self.used = text.BUCKET_USED.format(count=counted(len(self._uses), "template")) if self._uses else ""
        self.updated_by = bucket.updated_by if bucket else ""
        self.updated_at = bucket.updated_at.isoformat() if bucket else ""
        self.saved_name = bucket.name if bucket else ""
        means = text.BUCKET_DELETE_USED if self._uses else text.BUCKET_DELETE_UNUSED
        self.delete_means = said_of(means, self._uses)

    def _look(self, key: str) -> None:
        """Check the input, and show faults and consequences."""
        if key == self.chosen:
            work = self._works[key]
            found = work.read()
            self.label, self.unsaved = work.label, work.unsaved
            self.faults = fault_rows(found)
            some = text.BUCKET_FAULTS["one" if len(self.faults) == 1 else "many"]
            self.fault_count = some.format(count=len(self.faults)) if self.faults else ""
            self.count = counted(len(found.packages), "package")
            self.touches = touches(work, found, self._uses)
        self._filter()

    def _lead_to(self, line: int) -> None:
        self.go_to = {"line": line, "asked": self.go_to.get("asked", 0) + 1}

    def _forget_theirs(self) -> None:
        self._theirs = None
        self.overtaken, self.overtaken_name, self.overtaken_lines = "", "", []

    async def _read(self) -> None:
        found = await buckets.list_buckets(runtime(), session())
        self._all = [(row_of(bucket), searched(bucket)) for bucket in found]
        self.total = len(found)
        self._filter()

    def _filter(self) -> None:
        words = self.query.lower().split()
        typed = {key for key, work in self._works.items() if work.unsaved}
        rows = [
            replace(row, unsaved=row.id in typed)
            for row, searched_text in self._all
            if all(word in searched_text for word in words)
        ]
        if rows != self.rows:
            self.rows = rows
