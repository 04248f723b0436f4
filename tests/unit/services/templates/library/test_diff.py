from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.services.templates.library.diff import BucketChange, ChangeKind, Difference, FieldChange, compare
from lxc_dashboard.services.templates.library.line_diff import (
    MAX_LINES_IN_ALL,
    MAX_LINES_OF_TEXT,
    LineDiffer,
    LineKind,
    TextDiff,
    increasing,
)
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.text import in_words_of

APT, CUSTOM = PackageManager.APT, PackageManager.CUSTOM
EMPTY = TemplateContent("web", TemplateConfig(app="Web"))

lines = st.lists(st.sampled_from(["", "a", "b", "c", "done", "fi", "x y"]), max_size=30).map("\n".join)


def scripts(**texts: str) -> tuple[Script, ...]:
    return tuple(Script(f"{name}.sh", text, place) for place, (name, text) in enumerate(texts.items()))


def file(name: str, data: bytes, **fields: Any) -> FileEntry:
    return FileEntry(**{"name": name, "target_dir": "/etc", "policy": FilePolicy.DEFAULT, "content": data, **fields})


def sentences(found: Difference) -> list[str]:
    return [in_words_of(message) for message in found.messages()]


@given(lines, lines)
def test_the_lines_of_a_diff_lead_from_one_text_to_the_other(old: str, new: str) -> None:
    diff = LineDiffer().compare(old, new)
    assert not diff.cut
    assert diff.added == sum(line.kind is LineKind.ADDED for line in diff.lines)
    assert diff.removed == sum(line.kind is LineKind.REMOVED for line in diff.lines)
    a, b = (text.split("\n") if text else [] for text in (old, new))
    assert len(a) - diff.removed + diff.added == len(b)
    kept_a = [
        text
        for number, text in enumerate(a, 1)
        if number not in {line.old for line in diff.lines if line.kind is LineKind.REMOVED}
    ]
    kept_b = [
        text
        for number, text in enumerate(b, 1)
        if number not in {line.new for line in diff.lines if line.kind is LineKind.ADDED}
    ]
    assert kept_a == kept_b
    for line in diff.lines:
        if line.kind in {LineKind.SAME, LineKind.REMOVED}:
            assert a[line.old - 1] == line.text
        if line.kind in {LineKind.SAME, LineKind.ADDED}:
            assert b[line.new - 1] == line.text


@given(lines)
def test_equal_texts_differ_in_nothing(text: str) -> None:
    assert LineDiffer().compare(text, text) == TextDiff()


def test_a_change_is_shown_with_three_lines_around_it() -> None:
    diff = LineDiffer().compare("\n".join("abcdefghijklmnop"), "\n".join("abcdefgXhijklmnop"))
    assert [(line.kind, line.old, line.new, line.text) for line in diff.lines] == [
        (LineKind.GAP, 1, 1, ""),
        (LineKind.SAME, 5, 5, "e"),
        (LineKind.SAME, 6, 6, "f"),
        (LineKind.SAME, 7, 7, "g"),
        (LineKind.ADDED, 0, 8, "X"),
        (LineKind.SAME, 8, 9, "h"),
        (LineKind.SAME, 9, 10, "i"),
        (LineKind.SAME, 10, 11, "j"),
        (LineKind.GAP, 11, 12, ""),
    ]


def test_two_changes_near_each_other_have_no_gap_between() -> None:
    diff = LineDiffer().compare("\n".join("abcdefgh"), "\n".join("XbcdefgY"))
    assert [line.text for line in diff.lines] == ["a", "X", *"bcdefg", "h", "Y"]
    assert LineKind.GAP not in {line.kind for line in diff.lines}


def test_texts_made_to_be_slow_are_compared_in_a_moment() -> None:
    differ = LineDiffer()
    begun = time.process_time()
    for old, new in (
        ("\n" * 200_000, "x\n" * 100_000),
        ("fi\n" * 5_000, "fi\ndone\n" * 5_000),
        ("".join(f"{n}\n" for n in range(20_000)), "".join(f"{n}\nx\n" for n in range(20_000))),
        ("".join(f"{n % 7}\n" for n in range(9_000)), "".join(f"{n % 5}\n" for n in range(9_000))),
        ("".join(f"{n}\n" for n in range(30_000)), "".join(f"{n}\n" for n in reversed(range(30_000)))),
    ):
        diff = differ.compare(old, new)
        assert diff.cut
        assert len(diff.lines) <= MAX_LINES_OF_TEXT
    for _ in range(60):
        differ.compare("x\n" * 500_000, "y\n" * 500_000)
    assert time.process_time() - begun < 20


def test_many_texts_show_no_more_lines_than_a_page_can_hold() -> None:
    differ = LineDiffer()
    diffs = [differ.compare("", "x\n" * 1_500) for _ in range(40)]
    assert sum(len(diff.lines) for diff in diffs) == MAX_LINES_IN_ALL
    assert diffs[-1] == TextDiff((), 1_501, 0, cut=True)


@given(st.lists(st.integers(0, 30), unique=True, max_size=12))
def test_the_longest_increasing_part_increases_and_none_is_longer(numbers: list[int]) -> None:
    places = increasing(numbers)
    assert places == sorted(places)
    chain = [numbers[place] for place in places]
    assert chain == sorted(chain)
    longest = [1] * len(numbers)
    for later in range(len(numbers)):
        for earlier in range(later):
            if numbers[earlier] < numbers[later]:
                longest[later] = max(longest[later], longest[earlier] + 1)
    assert len(places) == max(longest, default=0)


def test_config_fields_are_told_with_both_values() -> None:
    new = replace(EMPTY, config=TemplateConfig(app="Web", tags=("a", "b"), nesting=True, cpu=2))
    found = compare(EMPTY, new)
    assert found.config == (
        FieldChange("tags", "", "a;b"),
        FieldChange("cpu", "1", "2"),
        FieldChange("nesting", "no", "yes"),
    )
    assert sentences(found) == ["tags: '' is now 'a;b'", "cpu: '1' is now '2'", "nesting: 'no' is now 'yes'"]


def test_scripts_are_added_removed_changed_and_moved() -> None:
    old = replace(EMPTY, scripts=scripts(a="1\n", b="1\n", c="1\n", d="1\n"))
    new = replace(EMPTY, scripts=scripts(c="1\n", a="1\n2\n", b="1\n", e="new"))
    found = compare(old, new).scripts
    assert [(change.name, change.kind) for change in found] == [
        ("c.sh", ChangeKind.MOVED),
        ("a.sh", ChangeKind.CHANGED),
        ("e.sh", ChangeKind.ADDED),
        ("d.sh", ChangeKind.REMOVED),
    ]
    assert found[0].fields == (FieldChange("position", "3", "1"),)
    assert (found[1].text.added, found[1].fields) == (1, ())
    assert sentences(compare(old, new))[1] == "Script a.sh changed (+1 -0 lines)"


def test_a_script_whose_settings_changed_is_changed() -> None:
    old = replace(EMPTY, scripts=scripts(a="x"))
    new = replace(old, scripts=(replace(old.scripts[0], optional=True, timeout_s=9, enabled=False, description="d"),))
    (change,) = compare(old, new).scripts
    assert change.text == TextDiff()
    assert {field.field for field in change.fields} == {"optional", "timeout_s", "enabled", "description"}


def test_files_are_told_by_lines_or_by_size_and_hash() -> None:
    old = replace(EMPTY, files=(file("bin", b"\0\1"), file("conf", b"a\nb\n"), file("gone", b"x"), file("same", b"x")))
    new = replace(
        EMPTY,
        files=(file("bin", b"\0\2\3"), file("conf", b"a\nc\n", mode=0o600), file("new", b"y"), file("same", b"x")),
    )
    found = {change.name: change for change in compare(old, new).files}
    assert {name: change.kind for name, change in found.items()} == {
        "bin": ChangeKind.CHANGED,
        "conf": ChangeKind.CHANGED,
        "gone": ChangeKind.REMOVED,
        "new": ChangeKind.ADDED,
    }
    assert (found["bin"].binary, found["bin"].old_size, found["bin"].new_size, found["bin"].text) == (
        True,
        2,
        3,
        TextDiff(),
    )
    assert found["bin"].old_sha256 != found["bin"].new_sha256
    assert found["conf"].fields == (FieldChange("mode", "0644", "0600"),)
    assert (found["conf"].binary, found["conf"].text.added, found["conf"].text.removed) == (False, 1, 1)


def test_a_binary_file_that_only_goes_elsewhere_shows_no_content() -> None:
    old = replace(EMPTY, files=(file("bin", b"\0"),))
    new = replace(EMPTY, files=(file("bin", b"\0", target_dir="/srv", owner="git", policy=FilePolicy.BACKUP),))
    (change,) = compare(old, new).files
    assert (change.binary, change.text) == (False, TextDiff())
    assert [field.field for field in change.fields] == ["target_dir", "policy", "owner"]


def test_packages_are_told_by_bucket() -> None:
    def tool(check: str) -> PackageEntry:
        return PackageEntry("tool", check, "install")

    one, two = PackageEntry("one"), PackageEntry("two")
    old = replace(
        EMPTY,
        buckets=(
            Bucket("a", APT, (one,)),
            Bucket("b", APT, (one, two)),
            Bucket("c", CUSTOM, (tool("x"),)),
            Bucket("d", APT, (one,)),
        ),
    )
    new = replace(
        EMPTY,
        buckets=(
            Bucket("a", APT, (two,)),
            Bucket("b", APT, (two, one)),
            Bucket("c", CUSTOM, (tool("y"),)),
            Bucket("e", APT, (one,)),
        ),
    )
    found = compare(old, new)
    assert found.packages == (
        BucketChange("a", APT, ChangeKind.CHANGED, ("two",), ("one",)),
        BucketChange("b", APT, ChangeKind.CHANGED, reordered=True),
        BucketChange("c", CUSTOM, ChangeKind.CHANGED, changed=("tool",)),
        BucketChange("d", APT, ChangeKind.REMOVED, removed=("one",)),
        BucketChange("e", APT, ChangeKind.ADDED, added=("one",)),
    )
    assert sentences(found) == [
        "Packages a.apt 1 added, 1 removed",
        "Packages b.apt reordered",
        "Packages c.custom 1 changed",
        "Packages d.apt removed",
        "Packages e.apt added",
    ]
    assert found.counted() == {"config": [], "scripts": 0, "files": 0, "packages": 5}


def test_what_is_counted_for_the_audit_holds_no_value() -> None:
    secret = "hunter2"
    new = replace(
        EMPTY,
        config=TemplateConfig(app=secret, description=secret),
        scripts=scripts(a=secret),
        files=(file("f", secret.encode()),),
        buckets=(Bucket("b", APT, (PackageEntry(secret),)),),
    )
    found = compare(EMPTY, new)
    assert secret not in repr(found.counted())
    assert found.counted()["config"] == ["app", "description"]


@given(st.permutations(["a", "b", "c", "d"]), lines, lines)
def test_a_difference_is_empty_exactly_where_the_checksums_are_equal(order: list[str], one: str, other: str) -> None:
    old = replace(EMPTY, scripts=scripts(a=one, b="", c="", d=""))
    new = replace(EMPTY, scripts=scripts(**{name: other if name == "a" else "" for name in order}))
    assert compare(old, new).empty == (old.checksum() == new.checksum())
    assert compare(old, old) == Difference()
