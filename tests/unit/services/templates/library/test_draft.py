from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile, is_ordered, moved
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

text = st.text(max_size=20)
numbers = st.integers(-1, 1 << 40)
configs = st.builds(
    TemplateConfig,
    app=text,
    tags=st.lists(text, max_size=3).map(tuple),
    description=text,
    cpu=numbers,
    ram_mib=numbers,
    storage=text,
    unprivileged=st.booleans(),
    fuse=st.booleans(),
)
scripts = st.builds(
    Script,
    name=text,
    content=text,
    position=numbers,
    description=text,
    timeout_s=numbers,
    enabled=st.booleans(),
    optional=st.booleans(),
)
files = st.builds(
    DraftFile,
    name=text,
    target_dir=text,
    policy=st.sampled_from(FilePolicy),
    mode=numbers,
    owner=text,
    sha256=text,
    size=numbers,
)
packages = st.builds(PackageEntry, spec=text, check=text, install=text, timeout_s=numbers)
buckets = st.builds(
    Bucket,
    name=text,
    manager=st.sampled_from(PackageManager),
    packages=st.lists(packages, max_size=3).map(tuple),
    shared_id=st.none() | st.uuids(),
)
contents = st.builds(
    DraftContent,
    name=text,
    config=configs,
    scripts=st.lists(scripts, max_size=3).map(tuple),
    files=st.lists(files, max_size=3).map(tuple),
    buckets=st.lists(buckets, max_size=3).map(tuple),
)

script_names = st.lists(
    st.from_regex(r"([0-9]{1,3}-)?[a-c]{1,2}\.sh", fullmatch=True), unique=True, min_size=1, max_size=8
)


@given(contents)
def test_a_draft_is_read_back_from_json_as_it_was(content: DraftContent) -> None:
    assert DraftContent.from_json(json.loads(json.dumps(content.to_json()))) == content


def test_a_draft_of_a_template_names_its_files_by_hash() -> None:
    file = FileEntry("a", "/etc", FilePolicy.BACKUP, b"12345", 0o600, "git")
    draft = DraftContent.of(TemplateContent("web", TemplateConfig(app="Web"), files=(file,)))
    assert draft.files == (DraftFile("a", "/etc", FilePolicy.BACKUP, 0o600, "git", file.sha256, 5),)


def in_order(names: list[str]) -> tuple[Script, ...]:
    ordered = sorted(names, key=script_order)
    return tuple(Script(name, f"was {name}", place) for place, name in enumerate(ordered))


def names_after(names: list[str], name: str, to: int) -> list[str]:
    return [script.name for script in moved(in_order(names), name, to)]


@given(script_names, st.data())
def test_a_moved_script_runs_where_it_was_put(names: list[str], data: st.DataObject) -> None:
    given_order = in_order(names)
    name, to = data.draw(st.sampled_from(names)), data.draw(st.integers(0, len(names) - 1))
    wanted = [script.content for script in given_order if script.name != name]
    wanted.insert(to, f"was {name}")
    found = moved(given_order, name, to)
    assert [script.content for script in found] == wanted
    assert [script.position for script in found] == list(range(len(found)))
    assert is_ordered(found)
    assert all(script.name.endswith(".sh") for script in found)


@given(script_names, st.data())
def test_a_script_that_stays_leaves_all_names_alone(names: list[str], data: st.DataObject) -> None:
    given_order = in_order(names)
    place = data.draw(st.integers(0, len(names) - 1))
    assert moved(given_order, given_order[place].name, place) == given_order


@pytest.mark.parametrize(
    ("names", "name", "to", "expected"),
    [
        (["10-a.sh", "20-b.sh", "30-c.sh"], "30-c.sh", 1, ["10-a.sh", "15-c.sh", "20-b.sh"]),
        (["10-a.sh", "20-b.sh", "30-c.sh"], "30-c.sh", 0, ["05-c.sh", "10-a.sh", "20-b.sh"]),
        (["10-a.sh", "20-b.sh", "30-c.sh"], "10-a.sh", 2, ["20-b.sh", "30-c.sh", "40-a.sh"]),
        (["10-a.sh", "11-b.sh", "12-c.sh"], "12-c.sh", 1, ["10-a.sh", "11-c.sh", "12-b.sh"]),
        (["00-a.sh", "10-b.sh"], "10-b.sh", 0, ["00-b.sh", "01-a.sh"]),
        (["10-a.sh", "b.sh", "c.sh"], "10-a.sh", 1, ["00-b.sh", "10-a.sh", "c.sh"]),
        (["10-a.sh", "98-b.sh"], "10-a.sh", 1, ["98-b.sh", "99-a.sh"]),
    ],
)
def test_as_few_scripts_as_possible_are_renamed(names: list[str], name: str, to: int, expected: list[str]) -> None:
    assert names_after(names, name, to) == expected


def test_only_a_script_that_is_there_can_be_moved() -> None:
    with pytest.raises(KeyError):
        moved(in_order(["a.sh"]), "b.sh", 0)


def test_scripts_of_equal_names_are_in_no_order() -> None:
    script = Script("10-a.sh", "", 0)
    assert not is_ordered([script, replace(script, position=1)])
