"""What the page of shared buckets shows, made from what the service says and what is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.templates.format.packages import (
    MAX_BUCKET_NAME_CHARS,
    MAX_TYPED_CHARS,
    Listing,
    read_listing,
)
from lxc_dashboard.services.templates.library.buckets import BucketDetail, BucketSummary, BucketUse
from lxc_dashboard.services.templates.library.line_diff import LineDiffer, LineKind
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.state.templates.rows import counted

NEW: Final = "new"
NAMED_AT_ONCE: Final = 6
DIFF_LINES: Final = 200
SIGNS: Final = {LineKind.ADDED: "+", LineKind.REMOVED: "-"}
QUERY_CHARS: Final = 200
# One more than each may have, so that it is told.
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
    """A template that refers to the bucket; ``note`` says where it is from and its revision."""

    name: str
    note: str
    href: str


@dataclass(frozen=True)
class FaultRow:
    """What is wrong in the list, as ``components.code`` draws it beside the line. ``place`` names it in words."""

    line: int
    column: int
    level: str
    code: str
    message: str
    place: str


@dataclass(frozen=True)
class DiffLine:
    """A line of a list that somebody else changed: ``sign`` + or -."""

    sign: str
    line: str


@dataclass(frozen=True)
class Base:
    """A bucket as it was when it was opened; ``version`` is None for one to be made."""

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
    """A bucket with what was typed into it."""

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
        """The bucket's name as it is saved."""
        return f"{self.base.name}.{self.base.manager}" if self.base.version else text.BUCKET_NEW

    def read(self) -> Listing:
        return read_listing(self.name, PackageManager(self.manager), self.listing)

    def rebased(self, base: Base) -> Work:
        """What was typed, from now on as a change of ``base``."""
        return replace(self, base=base)


def name_of(typed: str) -> str:
    """What a bucket is to be called."""
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
    """What the filter looks through."""
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
            fault.message,
            text.BUCKET_LINE.format(line=fault.line) if fault.line else text.BUCKET_WHOLE,
        )
        for fault in found.faults
    ]


def named(uses: Sequence[BucketUse], *, numbers: bool = False) -> str:
    """``web, db``, or with their revisions ``web r3, db r7``; the rest is counted where there are many."""
    names = [f"{use.name} r{use.revision_number}" if numbers else use.name for use in uses]
    shown = ", ".join(names[:NAMED_AT_ONCE])
    left = len(names) - NAMED_AT_ONCE
    return text.BUCKET_MORE.format(names=shown, count=left) if left > 0 else shown


def said_of(sentence: str, uses: Sequence[BucketUse]) -> str:
    """``sentence`` with how many templates there are as ``{count}`` and which as ``{templates}``."""
    return sentence.format(count=counted(len(uses), "template"), templates=named(uses))


def touches(work: Work, found: Listing, uses: Sequence[BucketUse]) -> str:
    """Which templates a save would give a new revision; empty where there is nothing to say yet."""
    if not uses or not work.unsaved or found.faults:
        return ""
    same = (work.name, found.packages) == (work.base.name, work.base.packages)
    return text.BUCKET_TOUCHES_NONE if same else said_of(text.BUCKET_TOUCHES, uses)


def changed_lines(old: str, new: str) -> list[DiffLine]:
    """The lines that differ, in their order, as many as are shown."""
    compared = LineDiffer().compare(old, new).lines
    found = [DiffLine(SIGNS[line.kind], line.text) for line in compared if line.kind in SIGNS]
    return found[:DIFF_LINES]
