"""A folder of templates is read with the manifest of the export that was unpacked into it."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.services.templates.format.layout import MAX_MANIFEST_BYTES
from lxc_dashboard.services.templates.model import FileEntry, Script, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources.archive import export
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree
from tests.unit.services.templates.contents import contents
from tests.unit.services.templates.sources.folders import CONF, only, refusal

WEB = TemplateContent(
    "web",
    TemplateConfig(app="Web"),
    scripts=(Script("1.sh", "true\n", 0, timeout_s=60, enabled=False), Script("2.sh", "true\n", 1)),
    files=(FileEntry("key", "/etc", FilePolicy.DEFAULT, b"", 0o600, "root:www-data"),),
)
DB = replace(WEB, name="db")


def unpack(into: Path, *exported: TemplateContent) -> Path:
    with tarfile.open(fileobj=io.BytesIO(export(exported, "tar.gz"))) as archive:
        archive.extractall(into, filter="data")
    return into


def bare(content: TemplateContent) -> TemplateContent:
    return TemplateContent(content.name, content.config, content.scripts, content.files, content.buckets)


def change(folder: Path, **changes: object) -> None:
    """Change fields of ``web`` in the manifest of ``folder``. None removes the field."""
    path = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    (says,) = [says for says in manifest["templates"] if says["name"] == "web"]
    says |= changes
    for key in [key for key, value in changes.items() if value is None]:
        del says[key]
    path.write_text(json.dumps(manifest))


@given(contents("web"), contents("db"))
def test_an_export_that_is_unpacked_into_a_folder_is_read_as_it_was(
    web: TemplateContent, database: TemplateContent
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        unpack(root / "exports/today", web, database)
        discovery = discover(root)
        again = discover(root, discovery.fingerprints)
    assert discovery.refused == ()
    assert [bare(content) for content in discovery.found] == [database, web]
    assert [content.checksum() for content in discovery.found] == [database.checksum(), web.checksum()]
    assert (again.found, again.unchanged, again.refused) == ((), ("db", "web"), ())


def test_one_comma_too_many_refuses_each_template_with_its_line_and_enables_no_script(tmp_path: Path) -> None:
    manifest = unpack(tmp_path / "exports", WEB, DB) / "manifest.json"
    lines = manifest.read_text().splitlines()
    at = next(number for number, text in enumerate(lines) if '"enabled": false' in text)
    lines[at] = lines[at].rstrip(",") + ","
    lines.insert(at + 1, "}")
    manifest.write_text("\n".join(lines))
    discovery = discover(tmp_path)
    assert discovery.found == ()
    assert [(told.name, told.file, told.line) for told in discovery.refused] == [
        ("db", "exports/manifest.json", at + 1),
        ("web", "exports/manifest.json", at + 1),
    ]
    assert in_words_of(discovery.refused[0].why) == "is not valid JSON: remove the comma before the closing bracket"


def test_a_broken_manifest_is_told_again_by_an_unchanged_pass_and_hides_no_template_elsewhere(
    write_tree: WriteTree,
) -> None:
    root = write_tree({"a/manifest.json": "{,}", "a/web/template.conf": CONF, "b/db/template.conf": CONF})
    first = discover(root)
    assert [content.name for content in first.found] == ["db"]
    assert (refusal(first).name, refusal(first).file, refusal(first).line) == ("web", "a/manifest.json", 1)
    second = discover(root, first.fingerprints)
    assert (second.found, second.unchanged, second.refused) == ((), ("db",), first.refused)
    (root / "a/manifest.json").write_text("{}")
    assert only(discover(root, second.fingerprints)).name == "web"


def test_a_change_of_the_manifest_reads_the_template_again_that_it_is_about(tmp_path: Path) -> None:
    root = unpack(tmp_path, WEB, DB)
    first = discover(root)
    change(root, scripts={"1.sh": {"timeout_s": 60}}, checksum=None)
    second = discover(root, first.fingerprints)
    assert [script.enabled for script in only(second).scripts] == [True, True]
    assert second.unchanged == ("db",)


def test_a_manifest_that_appears_or_goes_is_a_change(tmp_path: Path) -> None:
    root = unpack(tmp_path, WEB)
    manifest = root / "manifest.json"
    kept = manifest.rename(root / "kept")
    plain = discover(root)
    assert only(plain).scripts[0].enabled
    kept.rename(manifest)
    whole = discover(root, plain.fingerprints)
    assert bare(only(whole)) == WEB
    manifest.unlink()
    assert bare(only(discover(root, whole.fingerprints))) == bare(only(plain))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"checksum": "0" * 64},
            "web does not match its checksum in manifest.json. If you edited it, remove the checksum",
        ),
        ({"scripts": {"9.sh": {"enabled": False}}}, "names '9.sh', which is not in web/container-configs/scripts"),
        ({"files": {"x": {"owner": "root"}}}, "names 'x', which is not in web/container-configs/files"),
        ({"files": {"key": {"owner": "a b"}}}, "says 'a b' for the owner of key"),
        ({"scripts": {"2.sh": {"position": 0}}}, "gives two scripts of web the same position"),
        ({"config_path": "../x"}, "must be a path below the root"),
    ],
)
def test_a_template_that_its_manifest_does_not_fit_is_refused_and_no_other(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    unpack(tmp_path / "exports", WEB, DB)
    change(tmp_path / "exports", **changes)
    discovery = discover(tmp_path)
    assert [content.name for content in discovery.found] == ["db"]
    assert (refusal(discovery).name, refusal(discovery).file) == ("web", "exports/manifest.json")
    assert why in in_words_of(refusal(discovery).why)


def test_a_template_that_only_the_manifest_names_is_told_by_each_pass(tmp_path: Path) -> None:
    root = unpack(tmp_path, WEB, DB)
    (root / "db").rename(tmp_path / ".away")
    discovery = discover(root)
    assert [bare(content) for content in discovery.found] == [WEB]
    assert (refusal(discovery).file, in_words_of(refusal(discovery).why)) == (
        "manifest.json",
        "names db, which is not there",
    )
    assert discover(root, discovery.fingerprints).refused == discovery.refused


def test_of_many_names_without_a_folder_some_are_told(write_tree: WriteTree) -> None:
    says = [{"name": f"t{number:03}"} for number in range(100)]
    manifest = {"format": "lxc-dashboard-templates", "version": 1, "templates": says}
    refused = discover(write_tree({"manifest.json": json.dumps(manifest)})).refused
    assert (len(refused), in_words_of(refused[-1].why)) == (21, "names 80 more templates that are not there")


def test_a_template_that_was_edited_needs_no_checksum_in_its_manifest(tmp_path: Path) -> None:
    root = unpack(tmp_path, WEB)
    (root / "web/container-configs/scripts/2.sh").write_text("false\n")
    assert "does not match its checksum in manifest.json" in in_words_of(refusal(discover(root)).why)
    change(root, checksum=None)
    template = only(discover(root))
    assert [(script.content, script.enabled) for script in template.scripts] == [("true\n", False), ("false\n", True)]
    assert [(file.mode, file.owner) for file in template.files] == [(0o600, "root:www-data")]


def test_the_nearest_manifest_counts(tmp_path: Path) -> None:
    unpack(tmp_path / "a", WEB)
    unpack(tmp_path / "b", DB)
    (tmp_path / "manifest.json").write_text('{"name": "of another program"}')
    assert [bare(content) for content in discover(tmp_path).found] == [WEB, DB]


def test_a_manifest_above_the_folder_where_the_search_begins_counts_for_what_is_found(tmp_path: Path) -> None:
    unpack(tmp_path / "exports", WEB, DB)
    discovery = discover(tmp_path, below="exports/web")
    assert bare(only(discovery)) == WEB


def links(root: Path, outside: Path) -> Mapping[str, Path]:
    return {"out": outside, "nowhere": root / "gone", "circle": root / "manifest.json"}


@pytest.mark.parametrize(
    ("to", "why"),
    [("out", "leads out of the templates' folder"), ("nowhere", "leads nowhere"), ("circle", "leads nowhere")],
)
def test_a_manifest_that_is_a_link_to_elsewhere_refuses_its_templates(tmp_path: Path, to: str, why: str) -> None:
    root = unpack(tmp_path / "root", WEB)
    manifest = root / "manifest.json"
    outside = manifest.rename(tmp_path / "outside.json")
    manifest.symlink_to(links(root, outside)[to])
    assert (refusal(discover(root)).name, refusal(discover(root)).file) == ("web", "manifest.json")
    assert why in in_words_of(refusal(discover(root)).why)


def test_a_manifest_that_is_a_link_within_the_tree_is_followed(tmp_path: Path) -> None:
    root = unpack(tmp_path, WEB)
    (root / "manifest.json").rename(root / "kept.json").with_name("manifest.json").symlink_to("kept.json")
    assert bare(only(discover(root))) == WEB


def test_a_pipe_and_too_long_a_manifest_refuse_their_templates(write_tree: WriteTree) -> None:
    root = write_tree({"a/template.conf": CONF})
    os.mkfifo(root / "manifest.json")
    assert in_words_of(refusal(discover(root)).why) == "is no regular file"
    (root / "manifest.json").unlink()
    (root / "manifest.json").write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    assert in_words_of(refusal(discover(root)).why) == "is larger than the 4,194,304 bytes that are read"


@pytest.mark.parametrize("data", ["[]", '{"name": "An app"}', '{"format": "other", "version": 3}'])
def test_a_manifest_of_another_program_changes_nothing(write_tree: WriteTree, data: str) -> None:
    tree = {"web/template.conf": CONF, "web/manifest.json": data}
    first = discover(write_tree(tree))
    assert only(first).name == "web"
    assert discover(write_tree({}), first.fingerprints).unchanged == ("web",)


def test_a_manifest_in_a_folder_without_templates_refuses_nothing(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF, "frontend/manifest.json": "{ // no JSON\n}", "x/manifest.json/a": ""})
    assert only(discover(root)).name == "web"


def test_a_folder_whose_name_is_no_text_may_hold_a_manifest(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    unpack(folder, WEB)
    assert bare(only(discover(tmp_path))) == WEB
    (folder / "manifest.json").write_text("{,}")
    assert refusal(discover(tmp_path)).file == "caf\N{REPLACEMENT CHARACTER}/manifest.json"
