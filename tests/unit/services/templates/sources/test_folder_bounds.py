"""Bounds on reading a folder of templates."""

from __future__ import annotations

import pytest

from lxc_dashboard.services.templates.sources import folder as folder_module
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree
from tests.unit.services.templates.sources.folders import CONF, CONFIGS, Files, refusal


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("web/template.conf", b"#" * (10 << 20), "is larger than the 262,144 bytes"),
        (f"{CONFIGS}/scripts/1.sh", b"#" * ((1 << 20) + 1), "is larger than"),
        (f"{CONFIGS}/packages/a.apt", b"#" * ((256 << 10) + 1), "is larger than"),
        (f"{CONFIGS}/packages/a.apt", "\n".join(f"p{n}" for n in range(2001)), "more than 2,000 packages"),
        (f"{CONFIGS}/files/x.path", b"/" * 9000, "is larger than"),
        (f"{CONFIGS}/files/x", bytes((16 << 20) + 1), "is larger than"),
        (f"{CONFIGS}/scripts/1.sh", b"echo\n\0", "NUL byte"),
        (f"{CONFIGS}/scripts/1.sh", b"echo \xe4\n", "not UTF-8"),
        (f"{CONFIGS}/packages/{'x' * 64}.apt", "nginx\n", "needs a name of at most 63"),
        (f"{CONFIGS}/packages/apt", "nginx\n", "needs a name before its manager, for example base.apt"),
    ],
)
def test_what_is_too_large_or_no_text_is_refused(write_tree: WriteTree, path: str, content: bytes, why: str) -> None:
    files: Files = {"web/template.conf": CONF, f"{CONFIGS}/files/x": "", f"{CONFIGS}/files/x.path": "/etc"}
    assert why in in_words_of(refusal(discover(write_tree(files | {path: content}))).why)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({f"{CONFIGS}/scripts/{n}.sh": "" for n in range(201)}, "more than 200 scripts"),
        ({f"{CONFIGS}/packages/{n}.apt": "" for n in range(101)}, "more than 100 lists"),
        (
            {f"{CONFIGS}/files/{n}{end}": "/x" for n in range(501) for end in ("", ".path")},
            "more than 500 files",
        ),
        ({f"{CONFIGS}/scripts/{n}.txt": "" for n in range(5001)}, "above 5,000 files in all"),
        (
            {
                f"{CONFIGS}/files/{n}{end}": body
                for n in range(5)
                for end, body in (("", bytes(15 << 20)), (".path", "/x"))
            },
            "above 67,108,864 bytes in all",
        ),
    ],
)
def test_a_template_of_too_many_parts_is_refused(write_tree: WriteTree, files: Files, why: str) -> None:
    assert why in in_words_of(refusal(discover(write_tree({"web/template.conf": CONF, **files}))).why)


def test_a_pass_that_has_read_enough_leaves_the_rest_to_the_next(
    write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree({"a/template.conf": CONF, "b/template.conf": CONF})
    monkeypatch.setattr(folder_module, "MAX_DISCOVERY_BYTES", 1)
    first = discover(root)
    assert [template.name for template in first.found] == ["a"]
    assert (refusal(first).name, in_words_of(refusal(first).why)) == (
        "b",
        "is read in the next pass: the limit of this one is reached",
    )
    second = discover(root, first.fingerprints)
    assert (second.unchanged, [template.name for template in second.found]) == (("a",), ["b"])


def test_too_many_templates_and_folders_are_named(write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree({"a/template.conf": CONF, "b/template.conf": CONF, "c/x": ""})
    monkeypatch.setattr(folder_module, "MAX_TEMPLATES", 1)
    assert refusal(discover(root)).name == "b"
    monkeypatch.setattr(folder_module, "MAX_SEARCHED_FOLDERS", 2)
    discovery = discover(root)
    assert not discovery.complete
    assert "is not searched" in in_words_of(refusal(discovery).why)
