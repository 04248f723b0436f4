"""What the page of shared buckets shows while the user types."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageManager, now
from lxc_dashboard.services.templates.format.packages import read_listing
from lxc_dashboard.services.templates.library.buckets import BucketDetail, BucketSummary, BucketUse
from lxc_dashboard.state.templates import buckets
from lxc_dashboard.state.templates.buckets import DIFF_LINES, Base, DiffLine, Work

APT = PackageManager.APT


def bucket(listing: str = "curl\n", name: str = "base") -> BucketDetail:
    packages = read_listing(name, APT, listing).packages
    return BucketDetail(uuid4(), name, APT, listing, packages, (), "root@pam", now())


def uses(*names: str) -> tuple[BucketUse, ...]:
    return tuple(BucketUse(uuid4(), name, "custom", number) for number, name in enumerate(names, start=1))


def said(work: Work, *names: str) -> str:
    return buckets.touches(work, work.read(), uses(*names))


@pytest.fixture
def work() -> Work:
    return Work.of(Base.of(bucket()))


def test_a_work_is_unsaved_once_name_manager_or_list_differ(work: Work) -> None:
    assert not work.unsaved
    assert replace(work, name="other").unsaved
    assert replace(work, listing="curl\nvim\n").unsaved
    assert not replace(replace(work, name="other"), name="base").unsaved
    assert replace(Work.of(Base()), manager="pip").unsaved


def test_a_work_is_called_as_its_bucket_is_saved(work: Work) -> None:
    assert replace(work, name="other").label == "base.apt"
    assert Work.of(Base()).label == text.BUCKET_NEW


def test_what_was_typed_can_become_a_change_of_what_another_saved(work: Work) -> None:
    typed, theirs = replace(work, listing="vim\n"), bucket("nano\n", "tools")
    rebased = typed.rebased(Base.of(theirs))
    assert (rebased.name, rebased.listing) == ("base", "vim\n")
    assert (rebased.base.version, rebased.label) == (theirs.updated_at, "tools.apt")


def test_which_templates_a_save_touches_is_said_before_it(work: Work) -> None:
    changed = replace(work, listing="curl\nvim\n")
    assert said(changed, "web", "db") == "Saving gives 2 templates a new revision: web, db."
    assert said(replace(work, name="other"), "web") == "Saving gives 1 template a new revision: web."
    assert said(replace(work, listing="curl # why\n"), "web") == text.BUCKET_TOUCHES_NONE
    many = [f"t{number}" for number in range(9)]
    assert said(changed, *many) == "Saving gives 9 templates a new revision: t0, t1, t2, t3, t4, t5 and 3 more."


def test_nothing_is_said_of_templates_where_nothing_is_to_be_saved(work: Work) -> None:
    assert said(work, "web") == ""
    assert said(replace(work, listing="-y\n"), "web") == ""
    assert said(replace(work, listing="vim\n")) == ""


def test_revisions_are_named_with_their_numbers() -> None:
    assert buckets.named(uses("web", "db"), numbers=True) == "web r1, db r2"


def test_faults_stand_beside_their_lines() -> None:
    found = buckets.fault_rows(read_listing("base", APT, "curl\n-y\n"))
    assert [(row.line, row.place, row.level) for row in found] == [(2, "Line 2", "error")]
    (whole,) = buckets.fault_rows(read_listing("base", APT, "x" * (300 << 10)))
    assert (whole.line, whole.place) == (0, text.BUCKET_WHOLE)


def test_what_another_changed_is_told_by_line() -> None:
    assert buckets.changed_lines("a\nb\nc\n", "a\nB\nc\nd\n") == [
        DiffLine("-", "b"),
        DiffLine("+", "B"),
        DiffLine("+", "d"),
    ]
    assert buckets.changed_lines("a\n", "a\n") == []
    assert len(buckets.changed_lines("", "x\n" * 1000)) == DIFF_LINES


def test_lists_that_are_alike_in_every_line_are_compared_at_once() -> None:
    ours, theirs = ("".join(f"{side}-{number:060}\n" for number in range(2000)) for side in "ab")
    begun = time.process_time()
    assert len(buckets.changed_lines(ours, theirs)) == DIFF_LINES
    assert time.process_time() - begun < 1


def test_a_row_leads_to_its_bucket_and_is_found_by_its_templates() -> None:
    known = UUID(int=7)
    summary = BucketSummary(known, "Base", APT, 3, uses("Web"), "root@pam", now())
    row = buckets.row_of(summary)
    assert (row.name, row.manager, row.packages, row.templates) == ("Base", "apt", 3, 1)
    assert row.href == routes.bucket(known) == f"/templates/buckets?bucket={known}"
    assert buckets.searched(summary) == "base apt web"


@pytest.mark.parametrize("manager", list(PackageManager))
def test_every_manager_has_a_hint(manager: PackageManager) -> None:
    assert text.BUCKET_HINTS[manager.value]
