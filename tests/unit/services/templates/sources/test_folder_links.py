"""Links, pipes and unusual files in a folder of templates. Links inside it are followed, links out of it refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.model import Refusal
from lxc_dashboard.services.templates.sources.codes import FolderCode
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree
from tests.unit.services.templates.sources.folders import CONF, CONFIGS, only, refusal


@pytest.mark.parametrize(
    "link",
    [
        "web/template.conf",
        CONFIGS,
        f"{CONFIGS}/scripts",
        f"{CONFIGS}/scripts/1.sh",
        f"{CONFIGS}/packages/base.apt",
        f"{CONFIGS}/files/x",
        f"{CONFIGS}/files/x.path",
        f"{CONFIGS}/files/sub",
    ],
)
def test_a_link_that_leads_out_is_refused(write_tree: WriteTree, tmp_path: Path, link: str) -> None:
    root = write_tree(
        {
            "web/template.conf": CONF,
            f"{CONFIGS}/scripts/1.sh": "",
            f"{CONFIGS}/files/x": "",
            f"{CONFIGS}/files/x.path": "/etc",
        }
    )
    outside = tmp_path / "outside"
    outside.mkdir()
    path = root / link
    if path.exists():
        path.rename(outside / "moved")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside / "moved" if (outside / "moved").exists() else outside)
    refused = refusal(discover(root))
    assert in_words_of(refused.why) == "is a link that leads out of the templates' folder"
    assert refused.file.startswith("web")


def test_a_linked_template_folder_that_leads_out_is_refused(write_tree: WriteTree, tmp_path: Path) -> None:
    root = write_tree({"a/template.conf": CONF})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/template.conf").write_text(CONF)
    (root / "b").symlink_to(tmp_path / "outside")
    discovery = discover(root)
    assert [template.name for template in discovery.found] == ["a"]
    assert refusal(discovery).name == "b"


def test_links_within_the_tree_are_followed(write_tree: WriteTree) -> None:
    root = write_tree({"common/scripts/1.sh": "true\n", "common/f.sh": "one\n", "web/template.conf": CONF})
    (root / CONFIGS).mkdir()
    (root / CONFIGS / "scripts").symlink_to("../../common/scripts")
    (root / "common/scripts/2.sh").symlink_to("../f.sh")
    (root / "again").symlink_to("web")
    first = discover(root)
    assert [script.content for script in only(first).scripts] == ["true\n", "one\n"]
    (root / "common/f.sh").write_text("two\n")
    assert only(discover(root, first.fingerprints)).scripts[1].content == "two\n"


def test_circles_and_dead_links_are_refused_and_end(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "a/template.conf": CONF,
            "a/container-configs/files/x": "",
            "b/template.conf": CONF,
            "b/container-configs/scripts/1.sh": "",
            "c/template.conf": CONF,
        }
    )
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to(".")
    (root / "a/container-configs/files/again").symlink_to(".")
    (root / "b/container-configs/scripts/2.sh").symlink_to("gone")
    (root / "c/container-configs").symlink_to("container-configs")
    first = discover(root)
    assert [(refused.name, in_words_of(refused.why)) for refused in first.refused] == [
        ("a", "is nested more than 8 folders deep"),
        ("b", "is a link that leads nowhere, or in a circle"),
        ("c", "is a link that leads nowhere, or in a circle"),
    ]
    assert discover(root, first.fingerprints) == first


@pytest.mark.parametrize("path", ["web/template.conf", f"{CONFIGS}/scripts/1.sh", f"{CONFIGS}/files/x"])
def test_a_pipe_is_refused_without_waiting_for_it(write_tree: WriteTree, path: str) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/0.sh": "", f"{CONFIGS}/files/x.path": "/etc"})
    (root / path).unlink(missing_ok=True)
    os.mkfifo(root / path)
    assert in_words_of(refusal(discover(root)).why).startswith("is no regular file")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"{CONFIGS}/scripts", "must be a folder"),
        (CONFIGS, "must be a folder"),
    ],
)
def test_a_file_where_a_folder_belongs_is_refused(write_tree: WriteTree, path: str, why: str) -> None:
    assert in_words_of(refusal(discover(write_tree({"web/template.conf": CONF, path: ""}))).why) == why


@pytest.mark.parametrize("path", ["web/template.conf/x", f"{CONFIGS}/files/x.path/y"])
def test_a_folder_where_a_file_belongs_is_refused(write_tree: WriteTree, path: str) -> None:
    root = write_tree({f"{CONFIGS}/files/x": "", path: ""})
    if not (root / "web/template.conf").exists():
        write_tree({"web/template.conf": CONF})
    assert in_words_of(refusal(discover(root)).why).startswith("is no regular file")


def test_what_is_not_read_is_a_finding_unless_it_is_a_note(write_tree: WriteTree) -> None:
    left = ["script/1.sh", "scripts/1.py", "scripts/sub.sh/1.sh", "packages/a.yum", "packages/sub.apt/x"]
    notes = [
        "README.md",
        ".hidden",
        "scripts/notes.txt",
        "scripts/.1.sh.swp",
        "packages/README.md",
        "packages/.x.apt",
        "files/._x",
    ]
    root = write_tree({"web/template.conf": CONF} | {f"{CONFIGS}/{name}": "" for name in [*left, *notes]})
    template = only(discover(root))
    assert (template.scripts, template.buckets) == ((), ())
    assert sorted(finding.file for finding in template.warnings) == sorted(
        f"{CONFIGS}/{name}"
        for name in ["script", "scripts/1.py", "scripts/sub.sh", "packages/a.yum", "packages/sub.apt"]
    )
    assert {in_words_of(finding.message) for finding in template.warnings} == {
        "is ignored: it is not part of a template"
    }


def test_a_file_name_of_other_bytes_is_refused(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/0.sh": ""})
    Path(os.fsdecode(os.fsencode(root / CONFIGS / "scripts") + b"/\xff.sh")).touch()
    refused = refusal(discover(root))
    assert "not plain UTF-8" in in_words_of(refused.why)
    json.dumps(refused.file).encode()


def test_what_cannot_be_read_is_refused_and_tried_again(write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/1.sh": ""})

    def denied(path: str, _flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", denied)
        first = discover(root)
    assert refusal(first) == Refusal(
        "web/template.conf", 0, Message.of(FolderCode.UNREADABLE, cause="Permission denied"), "web"
    )
    assert only(discover(root, first.fingerprints)).name == "web"
