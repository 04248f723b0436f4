"""An export is imported unchanged, and archives packed by hand are imported, too."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format import layout as manifests
from lxc_dashboard.services.templates.model import FileEntry, Script, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources import unpacking
from lxc_dashboard.services.templates.sources.archive import KINDS, ArchiveKind, export, read
from lxc_dashboard.services.templates.sources.unpacking import FAT
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.contents import contents
from tests.unit.services.templates.sources.archives import FOLDER, packed, tarred, zipped

WEB = TemplateContent("web", TemplateConfig(app="Web"))


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bare(content: TemplateContent) -> TemplateContent:
    """The content without warnings and origin."""
    return TemplateContent(content.name, content.config, content.scripts, content.files, content.buckets)


@given(contents("web"), contents("db"))
def test_what_is_exported_is_imported_as_it_was(web: TemplateContent, database: TemplateContent) -> None:
    for kind in KINDS:
        data = export([web, database], kind)
        result = read(data)
        assert result.refused == ()
        assert [bare(content) for content in result.found] == [database, web]
        assert export(result.found, kind) == data
        assert export([database, web], kind) == data


def test_a_manifest_says_only_what_the_folder_cannot() -> None:
    content = replace(
        WEB,
        config=TemplateConfig(app="Web", config_path="lxc/web"),
        scripts=(Script("10-a.sh", "true\n", 0, enabled=False), Script("20-b.sh", "# Says\n", 1, "Says")),
        files=(
            FileEntry("key", "/etc", FilePolicy.REPLACE, b"", 0o600, "root:www-data"),
            FileEntry("run", "/srv", FilePolicy.DEFAULT, b"", 0o755),
        ),
    )
    assert json.loads(members(export([content], "zip"))["manifest.json"]) == {
        "format": "lxc-dashboard-templates",
        "version": 1,
        "templates": [
            {
                "name": "web",
                "checksum": content.checksum(),
                "config_path": "lxc/web",
                "scripts": {"10-a.sh": {"enabled": False}},
                "files": {"key": {"mode": "0600", "owner": "root:www-data"}},
            }
        ],
    }


def test_an_archive_unpacks_anywhere_with_plain_modes_and_no_owner_or_time() -> None:
    content = replace(WEB, scripts=(Script("10-a.sh", "true\n", 0),))
    with tarfile.open(fileobj=io.BytesIO(export([content], "tar.gz"))) as archive:
        listed = {info.name: (info.mode, info.uid, info.uname, info.mtime) for info in archive}
    assert listed == {
        "manifest.json": (0o644, 0, "", 0),
        "web/container-configs/scripts/10-a.sh": (0o755, 0, "", 0),
        "web/template.conf": (0o644, 0, "", 0),
    }
    with zipfile.ZipFile(io.BytesIO(export([content], "zip"))) as zipped_archive:
        assert zipped_archive.testzip() is None
        modes = {info.filename: info.external_attr >> 16 for info in zipped_archive.infolist()}
    assert modes["web/container-configs/scripts/10-a.sh"] == 0o100755


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", ["", "repo-main/", "./", "templates/"])
def test_a_plain_layout_packed_by_hand_or_by_a_git_host_comes_in(kind: ArchiveKind, around: str) -> None:
    files = {f"{around}{path}": data for path, data in FOLDER.items()} | {f"{around}README.md": b"Ours\n"}
    result = read(packed(kind, files))
    assert result.refused == ()
    (content,) = result.found
    assert (content.name, content.config.app) == ("web", "Web")
    assert [script.name for script in content.scripts] == ["10-core.sh"]
    assert [file.target for file in content.files] == ["/etc/nginx/site.conf"]


def test_config_paths_begin_within_the_one_folder_of_a_git_host() -> None:
    files = {
        "repo-v1/a/template.conf": b'TEMPLATE_APP="A"\nTEMPLATE_CONFIG_PATH=lxc/a\n',
        "repo-v1/lxc/a/container-configs/scripts/1.sh": b"true\n",
    }
    result = read(tarred(files))
    assert [script.name for script in result.found[0].scripts] == ["1.sh"]
    assert read(export(result.found, "zip")).found[0].config == result.found[0].config


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("web.tar.gz", "web"),
        ("My-site.ZIP", "My-site"),
        ("/home/a\\b/site.tgz", "site"),
        ("web (1).tgz", "web"),
        ("web.tar (12).gz", "web"),
        ("web(2).tar.gz", "web"),
        ("..", "archive"),
        ("", "archive"),
    ],
)
def test_a_template_in_the_very_root_is_called_as_the_archive(filename: str, name: str) -> None:
    files = {path.removeprefix("web/"): data for path, data in FOLDER.items()}
    assert [content.name for content in read(tarred(files), filename).found] == [name]


def test_a_folder_packed_on_a_mac_comes_in() -> None:
    notes = {"__MACOSX/web/._template.conf": b"\0\5", "__MACOSX/._web": b"\0"}
    assert [content.name for content in read(zipped({**FOLDER, **notes})).found] == ["web"]


def test_names_that_a_mac_writes_as_utf8_without_a_word_are_its_own() -> None:
    name, placeholder = "größe.txt".encode(), b"gr@@@@e.txt"
    files = {"web/template.conf": b"", "web/container-configs/files/gr@@@@e.txt": b"x"}
    data = zipped({**files, "web/container-configs/files/gr@@@@e.txt.path": b"/etc\n", ".DS_Store": b"\0"})
    (found,) = read(data.replace(placeholder, name)).found
    assert [file.target for file in found.files] == ["/etc/größe.txt"]


def test_hidden_files_beside_the_one_folder_are_no_part_of_it() -> None:
    conf = b"TEMPLATE_CONFIG_PATH=lxc/web/container-configs\n"
    files = {
        "repo/web/template.conf": conf,
        "repo/lxc/web/container-configs/scripts/1.sh": b"true\n",
        ".DS_Store": b"\0",
    }
    assert [script.name for script in read(zipped(files)).found[0].scripts] == ["1.sh"]


def test_folders_that_a_packer_of_windows_parts_by_backslashes_are_folders() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, content in FOLDER.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system = path.replace("/", "\\"), FAT
            made.writestr(info, content)
    assert read(out.getvalue()).found == read(zipped(FOLDER)).found


def test_a_folder_that_was_exported_and_packed_again_keeps_its_manifest() -> None:
    content = replace(WEB, files=(FileEntry("key", "/etc", FilePolicy.DEFAULT, b"", 0o600),))
    files = {f"mine/{path}": data for path, data in members(export([content], "zip")).items()}
    assert [bare(found) for found in read(tarred(files)).found] == [content]


def test_a_template_added_by_hand_beside_exported_ones_comes_in() -> None:
    result = read(zipped({**members(export([replace(WEB, name="db")], "zip")), **FOLDER}))
    assert ([content.name for content in result.found], result.refused) == (["db", "web"], ())


def test_one_broken_template_hides_no_other_and_is_named_with_its_line() -> None:
    files = {**FOLDER, "bad/template.conf": b"TEMPLATE_APP=Bad\nTEMPLATE_CPU=$(nproc)\n"}
    result = read(zipped({f"repo/{path}": data for path, data in files.items()}))
    assert [content.name for content in result.found] == ["web"]
    assert [(refusal.name, refusal.file, refusal.line) for refusal in result.refused] == [
        ("bad", "repo/bad/template.conf", 2)
    ]


def with_manifest(**changes: object) -> bytes:
    """An export of ``WEB`` with these changes in its manifest."""
    files = members(export([WEB], "zip"))
    said = json.loads(files["manifest.json"])
    said["templates"][0] |= changes
    return zipped({**files, "manifest.json": json.dumps(said).encode()})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"checksum": "0" * 64}, "does not match its checksum in manifest.json"),
        ({"scripts": {"9.sh": {"enabled": False}}}, "names '9.sh', which is not in web/container-configs/scripts"),
        ({"files": {"x": {"owner": "root"}}}, "names 'x', which is not in web/container-configs/files"),
        ({"config_path": "../x"}, "must be a path below the root"),
        ({"config_path": "a'$(id)"}, "does not match its checksum in manifest.json"),
    ],
)
def test_a_template_that_its_manifest_does_not_fit_is_refused(changes: dict[str, object], why: str) -> None:
    result = read(with_manifest(**changes))
    assert result.found == ()
    assert [refusal.name for refusal in result.refused] == ["web"]
    assert why in in_words_of(result.refused[0].why)


def test_two_scripts_cannot_have_one_position() -> None:
    content = replace(WEB, scripts=(Script("1.sh", "", 0), Script("2.sh", "", 1)))
    files = members(export([content], "zip"))
    said = json.loads(files["manifest.json"])
    said["templates"][0]["scripts"] = {"2.sh": {"position": 0}}
    result = read(zipped({**files, "manifest.json": json.dumps(said).encode()}))
    assert "same position" in in_words_of(result.refused[0].why)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"version": 2, "templates": []}, "is of version 2"),
        ({"version": "1", "templates": []}, "names no version"),
        ({"version": 1}, "cannot be read"),
        (
            {"version": 1, "templates": [{"name": "web", "checksum": "", "files": {"a": {"mode": "9"}}}]},
            "cannot be read",
        ),
        (
            {"version": 1, "templates": [{"name": "web", "checksum": "", "scripts": {"a.sh": {"enabeld": False}}}]},
            "unknown field `enabeld`",
        ),
        ({"version": 1, "templates": [], "comment": "mine"}, "unknown field `comment`"),
        ({"version": 1, "templates": [{"name": "web"}, {"name": "web"}]}, "names the template 'web' twice"),
        ({"format": "lxc-dashboard-template", "version": 1, "templates": []}, 'names no "format"'),
    ],
)
def test_a_manifest_of_ours_that_cannot_be_read_refuses_the_archive(manifest: dict[str, object], why: str) -> None:
    data = json.dumps({"format": "lxc-dashboard-templates", **manifest}).encode()
    with pytest.raises(TemplateError, match=why) as caught:
        read(zipped({**FOLDER, "manifest.json": data}))
    assert caught.value.file == "manifest.json"


@pytest.mark.parametrize("around", ["", "repo/"])
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{\n"format": "lxc-dashboard-templates",, \n"version": 1}', 2),
        (b'{\n"templates": [],}', 2),
        (b'{\n"templates": [1,\n\n]}', 2),
        (b'{\n"templates": [],\r\n}', 2),
        (b'{"name": "\\ud800"}', 0),
        (b"{", 1),
        (b'{\n\n"name": "\xff"}', 3),
        (b"", 1),
        (b"[" * 100_000, 0),
    ],
)
def test_a_manifest_that_is_no_json_refuses_the_archive_with_its_line(data: bytes, line: int, around: str) -> None:
    files = {f"{around}{path}": content for path, content in {**FOLDER, "manifest.json": data}.items()}
    with pytest.raises(TemplateError, match="is not valid JSON") as caught:
        read(zipped(files))
    assert (caught.value.file, caught.value.line) == (f"{around}manifest.json", line)


def test_one_comma_too_many_in_an_exported_manifest_enables_no_disabled_script() -> None:
    content = replace(WEB, scripts=(Script("1.sh", "", 0, enabled=False),))
    files = members(export([content], "zip"))
    broken = files["manifest.json"].replace(b'"enabled": false', b'"enabled": false,')
    assert broken != files["manifest.json"]
    with pytest.raises(TemplateError, match="is not valid JSON") as caught:
        read(zipped({**files, "manifest.json": broken}))
    at = broken[: broken.index(b'"enabled": false,')].count(b"\n") + 1
    assert (caught.value.file, caught.value.line) == ("manifest.json", at)


@pytest.mark.parametrize("data", [b"[]", b'{"name": "An app"}', b'{"format": "other", "version": 3}'])
def test_a_manifest_of_somebody_else_is_no_business_of_ours(data: bytes) -> None:
    assert [content.name for content in read(zipped({**FOLDER, "manifest.json": data})).found] == ["web"]


def test_a_manifest_that_is_too_long_is_refused() -> None:
    with pytest.raises(TemplateError, match="at most 4,194,304 are read"):
        manifests.decode_manifest(b" " * (manifests.MAX_MANIFEST_BYTES + 1))


def test_a_manifest_that_would_not_be_imported_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(TemplateError, match="at most 100 are read"):
        export([WEB], "zip")


def test_a_template_that_only_the_manifest_names_is_told() -> None:
    files = members(export([WEB, replace(WEB, name="db")], "zip"))
    result = read(zipped({path: data for path, data in files.items() if not path.startswith("db/")}))
    assert [content.name for content in result.found] == ["web"]
    assert [(refusal.file, in_words_of(refusal.why)) for refusal in result.refused] == [
        ("manifest.json", "names db, which is not there")
    ]


@pytest.mark.parametrize("name", ["WEB", "manifest.json", "web"])
def test_an_archive_holds_each_name_once(name: str) -> None:
    with pytest.raises(TemplateError, match="can contain each name once"):
        export([WEB, replace(WEB, name=name)], "zip")


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_not_be_imported_is_not_exported(kind: ArchiveKind, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = FileEntry("zeros", "/", FilePolicy.DEFAULT, bytes(16 << 20))
    with pytest.raises(TemplateError, match="200 times"):
        export([replace(WEB, files=(zeros, replace(zeros, name="more")))], kind)
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(TemplateError, match="above 1,000 bytes"):
        export([replace(WEB, files=(replace(zeros, content=bytes(2000)),))], kind)
