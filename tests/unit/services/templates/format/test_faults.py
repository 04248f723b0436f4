"""One refusal lists the errors of several parts of a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lxc_dashboard.services.templates.format.tree import MAX_FAULTS
from lxc_dashboard.services.templates.model import Refusal
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of

WriteTree = Callable[[Mapping[str, str | bytes]], Path]
AT = "web/container-configs"


def refusal(root: Path) -> Refusal:
    discovery = discover(root)
    assert discovery.found == ()
    (only,) = discovery.refused
    return only


def test_every_part_that_is_wrong_is_told_with_its_file_and_line(write_tree: WriteTree) -> None:
    told = refusal(
        write_tree(
            {
                "web/template.conf": "",
                f"{AT}/scripts/10-a.sh": b"true\n\xff\n",
                f"{AT}/scripts/20-b.sh": "true\n",
                f"{AT}/packages/base.apt": "nginx\n-y\n",
                f"{AT}/packages/tools.npm": "a b\n",
                f"{AT}/files/gone.path": "/etc\n",
                f"{AT}/files/x": "x",
                f"{AT}/files/deep/y": "y",
                f"{AT}/files/deep/y.path": "# where\netc\n",
            }
        )
    )
    assert (told.file, told.line, told.name) == (f"{AT}/scripts/10-a.sh", 2, "web")
    first, *others = in_words_of(told.why).split("; also ")
    assert first == "is not UTF-8 text"
    assert others == [
        f"{AT}/packages/base.apt:2: -y is an option: only packages are allowed",
        f"{AT}/packages/tools.npm:1: 'a b' is more than one word: one package a line",
        f"{AT}/files/gone.path: belongs to a file gone that does not exist",
        f"{AT}/files/deep/y.path:2: must be an absolute directory in the guest, not 'etc'",
        f"{AT}/files/x: has no x.path, which names its target directory",
    ]


def test_of_very_many_the_first_are_told(write_tree: WriteTree) -> None:
    lost = {f"{AT}/files/a/b/{number:03d}.path": "/etc\n" for number in range(40)}
    told = refusal(write_tree({"web/template.conf": "", **lost}))
    assert told.file == f"{AT}/files/a/b/000.path"
    assert in_words_of(told.why).count("does not exist") == MAX_FAULTS
