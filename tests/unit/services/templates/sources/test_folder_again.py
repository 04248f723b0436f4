"""The second pass over a folder of templates reads only what has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.model import Refusal
from lxc_dashboard.services.templates.sources.folder import Fingerprint, discover
from tests.trees import WriteTree
from tests.unit.services.templates.sources.folders import CONF, CONFIGS, Files, only


def test_an_unchanged_pass_reads_nothing_again(
    write_tree: WriteTree, whole_template: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree({**whole_template, "bad/template.conf": "id\n"})
    first = discover(root)
    stored = json.loads(json.dumps({key: mark.to_json() for key, mark in first.fingerprints.items()}))
    known = {key: Fingerprint.from_json(mark) for key, mark in stored.items()}
    assert known == first.fingerprints

    def opened(*_: object) -> int:
        raise AssertionError("an unchanged file was opened")

    monkeypatch.setattr(os, "open", opened)
    second = discover(root, known)
    assert (second.found, second.unchanged) == ((), ("web",))
    assert second.refused == first.refused
    assert second.fingerprints == first.fingerprints


def test_a_refusal_that_an_older_version_stored_as_text_is_still_known(write_tree: WriteTree) -> None:
    root = write_tree({"bad/template.conf": "id\n"})
    stored = discover(root).fingerprints["bad"].to_json() | {"refusal": ["bad/template.conf", 1, "is wrong"]}
    (refused,) = discover(root, {"bad": Fingerprint.from_json(stored)}).refused
    assert refused == Refusal("bad/template.conf", 1, Message(text="is wrong"), "bad")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "web/template.conf").write_text("TEMPLATE_APP=Other\n"),
        lambda root: (root / CONFIGS / "scripts/1.sh").write_text("fals\n"),
        lambda root: (root / CONFIGS / "scripts/1.sh").unlink(),
        lambda root: (root / CONFIGS / "scripts/1.sh").rename(root / CONFIGS / "scripts/2.sh"),
        lambda root: (root / CONFIGS / "files/x").chmod(0o755),
        lambda root: (root / CONFIGS / "files/sub/y").write_text("z"),
        lambda root: (root / CONFIGS / "files/x.policy").write_text("backup"),
        lambda root: ((root / "new").write_text("true\n"), (root / "new").rename(root / CONFIGS / "scripts/1.sh")),
    ],
)
def test_any_change_is_seen(write_tree: WriteTree, change: Callable[[Path], object]) -> None:
    root = write_tree(
        {
            "web/template.conf": CONF,
            f"{CONFIGS}/scripts/1.sh": "true\n",
            f"{CONFIGS}/files/x": "",
            f"{CONFIGS}/files/x.path": "/etc",
            f"{CONFIGS}/files/sub/y": "",
            f"{CONFIGS}/files/sub/y.path": "/etc",
        }
    )
    first = discover(root)
    change(root)
    assert len(discover(root, first.fingerprints).found) == 1


def test_a_mended_template_and_configs_that_appear_are_seen(write_tree: WriteTree) -> None:
    root = write_tree({"a/template.conf": "id\n", "b/template.conf": "TEMPLATE_CONFIG_PATH=late\n"})
    first = discover(root)
    assert len(first.refused) == 2
    write_tree({"a/template.conf": CONF, "late/scripts/1.sh": "true\n"})
    second = discover(root, first.fingerprints)
    assert [template.name for template in second.found] == ["a", "b"]


def test_a_change_under_the_same_size_and_time_is_seen(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": "TEMPLATE_CPU=1\n"})
    first = discover(root)
    conf = root / "web/template.conf"
    before = conf.stat()
    conf.write_text("TEMPLATE_CPU=2\n")
    os.utime(conf, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert only(discover(root, first.fingerprints)).config.cpu == 2
