"""Archive members that lead out, hide or are no files are refused by name. Nothing is written outside the folder."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile

import pytest

from lxc_dashboard.services.templates.sources.archive import KINDS, ArchiveKind, read
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.sources.archives import FOLDER, packed, tarred
from tests.unit.services.templates.sources.unpacking.hostile import info_of, refusal, tar_with, zip_with


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "leads out"),
        ("web/../../evil", "leads out"),
        ("web\\..\\..\\evil", "leads out"),
        ("..", "leads out"),
        ("/etc/evil", "absolute"),
        ("\\\\server\\evil", "absolute"),
        ("C:\\evil", "absolute"),
        ("c:/evil", "absolute"),
    ],
)
def test_a_member_that_leads_out_refuses_the_archive(kind: ArchiveKind, name: str, why: str) -> None:
    error = refusal(packed(kind, {**FOLDER, name: b"x"}))
    assert (error.file, why in error.message) == (name, True)


def test_a_name_cut_off_by_a_nul_is_not_believed() -> None:
    data = zip_with("web/notes.md~/../../evil").replace(b"notes.md~", b"notes.md\0")
    assert "NUL" in refusal(data).message
    assert "NUL" in refusal(tar_with(info_of("x", pax_headers={"path": "web/a\0/../evil"}))).message


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_stands_twice_refuses_the_archive(kind: ArchiveKind) -> None:
    error = refusal(packed(kind, {**FOLDER, "./web//template.conf": b"TEMPLATE_APP=Evil\n"}))
    assert error.file.endswith("template.conf")
    assert "twice" in error.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["web/Template.conf", "WEB/notes.md", "web/container-configs/SCRIPTS/x.sh"])
def test_a_template_with_names_that_differ_by_case_only_is_refused(kind: ArchiveKind, name: str) -> None:
    result = read(packed(kind, {**FOLDER, "db/template.conf": b"", name: b"x"}))
    assert [content.name for content in result.found] == (["db"] if name.startswith("web/") else ["db", "web"])
    assert [(one.file, "ignore case" in in_words_of(one.why)) for one in result.refused] == [(name, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_both_a_file_and_a_folder_refuses_the_archive(kind: ArchiveKind) -> None:
    assert "both a file and a folder" in refusal(packed(kind, {**FOLDER, "web/template.conf/x": b""})).message


SPECIAL = {
    "link": info_of("web/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "link within": info_of("web/x", type=tarfile.SYMTYPE, linkname="template.conf"),
    "hard link": info_of("web/x", type=tarfile.LNKTYPE, linkname="web/template.conf"),
    "device": info_of("web/x", type=tarfile.CHRTYPE, devmajor=1, devminor=1),
    "disk": info_of("web/x", type=tarfile.BLKTYPE, devmajor=8),
    "pipe": info_of("web/x", type=tarfile.FIFOTYPE),
    "unheard of": info_of("web/x", type=b"Q", size=700),
}


@pytest.mark.parametrize("what", SPECIAL)
def test_a_template_with_a_link_or_device_in_a_tar_is_refused(what: str) -> None:
    result = read(tar_with(SPECIAL[what], info_of("db/template.conf")))
    assert [content.name for content in result.found] == ["db"]
    why = "is a link" if "link" in what else "neither a file nor a folder"
    assert [(one.file, one.name, why in in_words_of(one.why)) for one in result.refused] == [("web/x", "web", True)]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_template_with_a_link_or_device_in_a_zip_is_refused(kind: int) -> None:
    result = read(zip_with("web/x", b"/etc/passwd", mode=kind | 0o777))
    assert (result.found, [(one.file, one.name) for one in result.refused]) == ((), [("web/x", "web")])


def test_a_file_below_a_link_does_not_follow_it() -> None:
    link = info_of("web/container-configs/scripts/more", type=tarfile.SYMTYPE, linkname="../../../../../..")
    result = read(tar_with(link, info_of("web/container-configs/scripts/more/evil")))
    assert (result.found, result.refused[0].name) == ((), "web")


def test_links_of_a_repository_beside_its_templates_are_told_and_hide_none() -> None:
    links = [info_of(f"docs/{number}", type=tarfile.SYMTYPE, linkname="x") for number in range(150)]
    result = read(tar_with(*links))
    assert [content.name for content in result.found] == ["web"]
    assert len(result.refused) == 101
    assert in_words_of(result.refused[-1].why) == "50 more members are left out"


def test_a_member_left_out_at_its_config_path_refuses_the_template_too() -> None:
    files = {"a/template.conf": b"TEMPLATE_CONFIG_PATH=lxc/a\n", "lxc/a/container-configs/scripts/1.sh": b""}
    out = io.BytesIO(tarred({f"repo/{path}": data for path, data in files.items()}))
    result_data = gzip.decompress(out.getvalue()).rstrip(b"\0")
    result_data += b"\0" * (-len(result_data) % 512)
    link = info_of("repo/lxc/a/container-configs/scripts/2.sh", type=tarfile.SYMTYPE, linkname="1.sh")
    result = read(gzip.compress(result_data + link.tobuf() + bytes(1024)))
    assert [(one.file, one.name) for one in result.refused] == [("repo/lxc/a/container-configs/scripts/2.sh", "a")]
    assert result.found == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("web/a\x07b", "plain UTF-8"),
        ("web/" + "x" * 256, "more than 255 bytes"),
        ("web/" + "é" * 128, "more than 255 bytes"),
        ("web/" + "a/" * 20 + "b", "more than 20 folders deep"),
        ("web/" + "/".join(["a" * 250] * 9), "more than 2,000 bytes"),
    ],
)
def test_a_name_that_no_folder_can_hold_refuses_its_template(kind: ArchiveKind, name: str, why: str) -> None:
    result = read(packed(kind, {**FOLDER, name: b"x"}))
    assert result.found == ()
    assert (result.refused[0].name, why in in_words_of(result.refused[0].why)) == ("web", True)


def test_a_name_in_other_bytes_than_utf8_refuses_its_template() -> None:
    result = read(tar_with(info_of("web/caf\udce9")))
    assert [(one.file, one.name) for one in result.refused] == [("web/caf\ufffd", "web")]
