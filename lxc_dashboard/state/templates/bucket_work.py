"""What the page of shared buckets shows, from the service's answers and the user's input."""

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
    """A fault in the list, as ``components.code`` draws it beside the line. ``place``: the line in words."""

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
        """The bucket's saved name."""
        return f"{self.base.name}.{self.base.manager}" if self.base.version else text.BUCKET_NEW

    def read(self) -> Listing:
        return read_listing(self.name, PackageManager(self.manager), self.listing)

    def rebased(self, base: Base) -> Work:
        """The same input as a change of ``base``."""
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
    """``web, db``, or with revisions ``web r3, db r7``; beyond ``NAMED_AT_ONCE`` only their number."""
    names = [f"{use.name} r{use.revision_number}" if numbers else use.name for use in uses]
    shown = ", ".join(names[:NAMED_AT_ONCE])
    left = len(names) - NAMED_AT_ONCE
    return text.BUCKET_MORE.format(names=shown, count=left) if left > 0 else shown


def said_of(sentence: str, uses: Sequence[BucketUse]) -> str:
    """``sentence`` with the number of templates as ``{count}`` and their names as ``{templates}``."""
    return sentence.format(count=counted(len(uses), "template"), templates=named(uses))


def touches(work: Work, found: Listing, uses: Sequence[BucketUse]) -> str:
    """Which templates get a new revision from a save; empty where that is not known yet."""
    if not uses or not work.unsaved or found.faults:
        return ""
    same = (work.name, found.packages) == (work.base.name, work.base.packages)
    return text.BUCKET_TOUCHES_NONE if same else said_of(text.BUCKET_TOUCHES, uses)


def changed_lines(old: str, new: str) -> list[DiffLine]:
    """The changed lines in their order, at most ``DIFF_LINES``."""
    compared = LineDiffer().compare(old, new).lines
    found = [DiffLine(SIGNS[line.kind], line.text) for line in compared if line.kind in SIGNS]
    return found[:DIFF_LINES]
