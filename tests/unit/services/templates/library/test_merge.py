"""Merging two users' changes of one template."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.services.templates.library.authoring import merge
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig


def script(name: str, content: str = "true\n", **more: object) -> Script:
    return replace(Script(name, content, 0), **more)  # type: ignore[arg-type] # any fields


def file(name: str, sha256: str = "a", **more: object) -> DraftFile:
    return replace(DraftFile(name, "/etc", FilePolicy.DEFAULT, 0o644, "", sha256, len(sha256)), **more)  # type: ignore[arg-type] # any fields


def bucket(*specs: str) -> Bucket:
    return Bucket("base", PackageManager.APT, tuple(map(PackageEntry, specs)))


BASE = DraftContent(
    "web",
    TemplateConfig(app="Web"),
    (script("10-a.sh"), script("20-b.sh", position=1)),
    (file("issue"), file("motd")),
    (bucket("curl"),),
)


def test_what_only_one_of_them_changed_is_taken() -> None:
    theirs = replace(
        BASE,
        name="website",
        config=replace(BASE.config, cpu=4),
        scripts=(script("05-new.sh"), script("10-a.sh", "theirs\n", position=1)),
        files=(file("motd", "bbbb"),),
        buckets=(bucket("curl", "nginx"),),
    )
    mine = replace(
        BASE,
        config=replace(BASE.config, ram_mib=1024),
        scripts=(script("10-a.sh", timeout_s=60), script("20-b.sh", position=1), script("30-c.sh", position=2)),
        files=(file("motd", mode=0o600), file("issue"), file("profile")),
    )
    merged = merge(BASE, theirs, mine)
    assert merged.kept == ()
    content = merged.content
    assert (content.name, content.config.cpu, content.config.ram_mib) == ("website", 4, 1024)
    assert [(s.name, s.content, s.timeout_s, s.position) for s in content.scripts] == [
        ("05-new.sh", "true\n", 1800, 0),
        ("10-a.sh", "theirs\n", 60, 1),
        ("30-c.sh", "true\n", 1800, 2),
    ]
    assert [(f.name, f.sha256, f.size, f.mode) for f in content.files] == [
        ("motd", "bbbb", 4, 0o600),
        ("profile", "a", 1, 0o644),
    ]
    assert content.buckets == theirs.buckets


def test_where_both_changed_the_same_mine_stays_and_is_named() -> None:
    theirs = replace(
        BASE,
        config=replace(BASE.config, cpu=4),
        scripts=(script("10-a.sh", "theirs\n"), script("30-c.sh", "theirs\n", position=1)),
        files=(file("motd", "theirs"), file("issue", "theirs")),
        buckets=(bucket("nginx"),),
    )
    mine = replace(
        BASE,
        config=replace(BASE.config, cpu=2),
        scripts=(script("10-a.sh", "mine\n"), script("20-b.sh", "mine\n", position=1), script("30-c.sh", position=2)),
        files=(file("motd", "mine"),),
        buckets=(bucket("htop"),),
    )
    merged = merge(BASE, theirs, mine)
    assert merged.content == mine
    assert set(merged.kept) == {
        "config.cpu",
        "scripts.10-a.sh.content",
        "scripts.20-b.sh",
        "scripts.30-c.sh",
        "files.motd.sha256",
        "files.issue",
        "packages.base.apt",
    }


def test_equal_changes_of_both_are_no_conflict() -> None:
    both = replace(BASE, config=replace(BASE.config, cpu=4), scripts=(script("10-a.sh", "new\n"),), buckets=())
    assert merge(BASE, both, both) == merge(BASE, BASE, both)
    assert merge(BASE, both, both).content == both


def test_a_draft_with_two_scripts_of_one_name_loses_neither() -> None:
    mine = replace(BASE, scripts=(script("10-a.sh", "one\n"), script("10-a.sh", "two\n", position=1)))
    merged = merge(BASE, BASE, mine)
    assert [found.content for found in merged.content.scripts] == ["one\n", "two\n"]


_SCRIPTS = st.lists(st.sampled_from(["1-a.sh", "2-b.sh", "3-c.sh"]), unique=True)
_CONTENTS = st.builds(
    lambda names, body, cpu: DraftContent(
        "x",
        TemplateConfig(app="x", cpu=cpu),
        tuple(Script(name, body, place) for place, name in enumerate(sorted(names))),
    ),
    _SCRIPTS,
    st.sampled_from(["p", "q"]),
    st.integers(1, 3),
)


@given(_CONTENTS, _CONTENTS)
def test_who_changed_nothing_gets_the_others_and_who_alone_changed_keeps_his(
    base: DraftContent, changed: DraftContent
) -> None:
    assert merge(base, changed, base) == merge(changed, changed, changed)
    assert merge(base, base, changed).content == changed


@given(_CONTENTS, _CONTENTS, _CONTENTS)
def test_what_of_mine_is_not_in_the_outcome_was_not_changed_by_me(
    base: DraftContent, theirs: DraftContent, mine: DraftContent
) -> None:
    merged = merge(base, theirs, mine).content
    found = {kept.name: kept for kept in merged.scripts}
    before = {known.name: known for known in base.scripts}
    for own in mine.scripts:
        untouched = own.name in before and before[own.name].content == own.content
        assert untouched or found[own.name].content == own.content
