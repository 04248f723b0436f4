"""The content of the template editor: fields as the user typed them, and the draft that stores them."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile, is_ordered
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig
from lxc_dashboard.state.templates.editor.page import parts_of
from lxc_dashboard.state.templates.editor.work import NO_MODE, ON, Work, faults_of, list_faults

SHA256 = "0" * 64
CONTENT = DraftContent(
    name="web",
    config=TemplateConfig(app="Web", tags=("a", "b"), cpu=2, nesting=True),
    scripts=(Script("10-core.sh", "true\n", 0), Script("20-more.sh", "false\n", 1, "More", 60, enabled=False)),
    files=(DraftFile("motd", "/etc", FilePolicy.BACKUP, 0o600, "root", SHA256, 3),),
    buckets=(
        Bucket("base", PackageManager.APT, (PackageEntry("curl"), PackageEntry("nginx=1.26.3-3"))),
        Bucket("own", PackageManager.CUSTOM, (PackageEntry("tool", "command -v tool", "make | cat", 60),)),
        Bucket("shared", PackageManager.PIP, (), uuid4()),
    ),
)


def key(work: Work, name: str) -> str:
    return next(item.key for items in (work.scripts, work.files, work.packages) for item in items if item.name == name)


def test_a_draft_comes_back_as_it_was() -> None:
    assert Work.of(CONTENT).content() == CONTENT
    empty = DraftContent("", TemplateConfig(app=""))
    assert Work.of(empty).content() == empty


def test_every_field_is_set_by_its_path_and_nothing_else_is() -> None:
    work = Work.of(CONTENT)
    changed = work.typed("config.ram_mib", " 1024 ").typed("config.nesting", "").typed("config.fuse", ON)
    config = changed.content().config
    assert (config.ram_mib, config.nesting, config.fuse, config.cpu) == (1024, False, True, 2)
    assert work.typed("config.tags", "x; y;;").content().config.tags == ("x", "y")
    assert work.typed("name", "other").content() == replace(CONTENT, name="other")
    script = key(work, "20-more.sh")
    assert work.typed(f"scripts.{script}.enabled", ON).content().scripts[1].enabled
    assert work.typed(f"scripts.{script}.timeout_s", "90").content().scripts[1].timeout_s == 90
    assert work.typed(f"files.{key(work, 'motd')}.mode", "0755").content().files[0].mode == 0o755
    for path in ("", "config", "config.config_path", "scripts.none.name", f"files.{key(work, 'motd')}.sha256", "x.y.z"):
        assert work.typed(path, "changed") == work


def test_what_is_wrong_is_kept_as_it_was_typed_and_told_by_its_path() -> None:
    work = Work.of(CONTENT).typed("config.cpu", "many").typed("name", "no name")
    script, file, bucket = (key(work, name) for name in ("20-more.sh", "motd", "base"))
    work = work.typed(f"scripts.{script}.timeout_s", "soon").typed(f"files.{file}.mode", "rwx")
    work = work.typed(f"packages.{bucket}.lines", "curl\ntwo words")
    assert (work.config["cpu"], work.files[0].mode, work.content().files[0].mode) == ("many", "rwx", NO_MODE)
    faults = work.paths(faults_of(work.content()))
    assert set(faults) == {
        "name",
        "config.cpu",
        f"scripts.{script}.timeout_s",
        f"files.{file}.mode",
        f"packages.{bucket}.lines",
    }
    assert faults["config.cpu"] == "Must be a whole number of cores from 1 to 8192, not 'many'"
    assert parts_of(faults) == ["config", "scripts", "packages", "files"]
    assert list_faults(work, bucket).startswith("Line 2: ")
    assert faults_of(CONTENT) == {}


def test_a_text_that_is_too_long_is_refused_and_never_cut_to_what_fits() -> None:
    work = Work.of(CONTENT)
    path = f"scripts.{key(work, '10-core.sh')}.content"
    assert faults_of(work.typed(path, "x" * (1 << 20)).content()) == {}
    too_long = work.typed(path, "x" * ((1 << 20) + 7)).content()
    assert list(faults_of(too_long)) == ["scripts.10-core.sh.content"]


def test_a_renamed_script_goes_where_its_name_says_and_a_moved_one_is_renamed() -> None:
    work = Work.of(CONTENT)
    first = key(work, "10-core.sh")
    renamed = work.typed(f"scripts.{first}.name", "30-core.sh")
    assert [item.name for item in renamed.scripts] == ["20-more.sh", "30-core.sh"]
    assert renamed.scripts[1].key == first
    moved = renamed.moved(first, 0)
    assert [item.key for item in moved.scripts] == [first, key(work, "20-more.sh")]
    assert is_ordered(moved.content().scripts)
    assert moved.moved("none", 0) == moved
    assert moved.moved(first, 5) == moved


def test_new_entries_get_names_and_keys_that_are_free() -> None:
    work = Work.of(DraftContent("", TemplateConfig(app="")))
    for _ in range(3):
        work = work.with_script(work.next_script_name())
    assert [item.name for item in work.scripts] == ["10-script.sh", "20-script.sh", "30-script.sh"]
    work = work.with_file("motd", SHA256, 1).with_file("motd", "1" * 64, 2).with_list("a", "apt").with_list("b", "pip")
    assert [(item.name, item.sha256, item.size) for item in work.files] == [("motd", "1" * 64, 2)]
    keys = [item.key for items in (work.scripts, work.files, work.packages) for item in items]
    assert len(set(keys)) == len(keys)
    for known in keys:
        work = work.without(known)
    assert (work.scripts, work.files, work.packages) == ((), (), ())


def test_a_key_means_the_same_entry_when_the_draft_is_opened_again() -> None:
    before = Work.of(CONTENT).without(key(Work.of(CONTENT), "10-core.sh"))
    again = Work.of(before.content())
    assert again.script(key(before, "20-more.sh")) == before.script(key(before, "20-more.sh"))
    assert again.script(key(Work.of(CONTENT), "10-core.sh")) is None
    assert again.script("of another time", "20-more.sh") is not None


def test_two_scripts_of_one_name_are_both_kept_and_the_second_is_to_be_mended() -> None:
    work = Work.of(CONTENT)
    twice = work.typed(f"scripts.{key(work, '20-more.sh')}.name", "10-core.sh")
    assert [script.content for script in twice.content().scripts] == ["true\n", "false\n"]
    faults = twice.paths(faults_of(twice.content()))
    assert set(faults) == {f"scripts.{twice.scripts[1].key}.name"}
    assert twice.moved(twice.scripts[0].key, 1) == twice


@given(st.lists(st.from_regex(r"[0-9]{0,3}-?[a-c]{1,2}\.sh", fullmatch=True), unique=True, max_size=8), st.data())
def test_any_order_of_moves_leaves_scripts_that_run_as_they_stand(names: list[str], data: st.DataObject) -> None:
    work = Work.of(DraftContent("x", TemplateConfig(app="x")))
    for name in names:
        work = work.with_script(name, content=name)
    for _ in range(3 if names else 0):
        moving = data.draw(st.sampled_from([item.key for item in work.scripts]))
        to = data.draw(st.integers(0, len(names) - 1))
        work = work.moved(moving, to)
        assert work.scripts[to].key == moving
        assert is_ordered(work.content().scripts)
    assert sorted(item.content for item in work.scripts) == sorted(names)
