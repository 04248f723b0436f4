"""Archives of ill will, and broken ones: a clear refusal that names the member, and nothing outside the folder."""

from __future__ import annotations

import gzip
import io
import os
import resource
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lxc_dashboard.errors import ServiceUnavailableError, TemplateError
from lxc_dashboard.services.templates import archive, tarball, unpacking, zipped
from lxc_dashboard.services.templates.archive import KINDS, ArchiveKind, ImportResult, read
from lxc_dashboard.services.templates.files import MAX_FILE_BYTES
from tests.unit.services.templates.test_archive import FOLDER, packed, tarred
from tests.unit.services.templates.test_archive import zipped as zip_of


def refusal(data: bytes) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        read(data, "upload.bin")
    return caught.value


def outcome(data: bytes) -> ImportResult | TemplateError:
    try:
        return read(data, "upload.bin")
    except TemplateError as error:
        return error


def tar_with(*infos: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for path, data in FOLDER.items():
            made.addfile(_info(path, data), io.BytesIO(data))
        for info in infos:
            made.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def _info(path: str, data: bytes = b"", **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def zip_with(name: str, data: bytes = b"", *, mode: int = 0, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, content in FOLDER.items():
            made.writestr(path, content)
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, mode << 16
        made.writestr(info, data, compression)
    return out.getvalue()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Archives are unpacked below ``tmp_path``, so that what leads out of theirs is seen."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(inner))
    yield
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/b"]


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
    assert "NUL" in refusal(tar_with(_info("x", pax_headers={"path": "web/a\0/../evil"}))).message


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
    assert [(one.file, "case does not count" in one.why) for one in result.refused] == [(name, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_both_a_file_and_a_folder_refuses_the_archive(kind: ArchiveKind) -> None:
    assert "both a file and a folder" in refusal(packed(kind, {**FOLDER, "web/template.conf/x": b""})).message


SPECIAL = {
    "link": _info("web/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "link within": _info("web/x", type=tarfile.SYMTYPE, linkname="template.conf"),
    "hard link": _info("web/x", type=tarfile.LNKTYPE, linkname="web/template.conf"),
    "device": _info("web/x", type=tarfile.CHRTYPE, devmajor=1, devminor=1),
    "disk": _info("web/x", type=tarfile.BLKTYPE, devmajor=8),
    "pipe": _info("web/x", type=tarfile.FIFOTYPE),
    "unheard of": _info("web/x", type=b"Q", size=700),
}


@pytest.mark.parametrize("what", SPECIAL)
def test_a_template_with_a_link_or_device_in_a_tar_is_refused(what: str) -> None:
    result = read(tar_with(SPECIAL[what], _info("db/template.conf")))
    assert [content.name for content in result.found] == ["db"]
    why = "is a link" if "link" in what else "neither a file nor a folder"
    assert [(one.file, one.name, why in one.why) for one in result.refused] == [("web/x", "web", True)]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_template_with_a_link_or_device_in_a_zip_is_refused(kind: int) -> None:
    result = read(zip_with("web/x", b"/etc/passwd", mode=kind | 0o777))
    assert (result.found, [(one.file, one.name) for one in result.refused]) == ((), [("web/x", "web")])


def test_a_file_below_a_link_does_not_follow_it() -> None:
    link = _info("web/container-configs/scripts/more", type=tarfile.SYMTYPE, linkname="../../../../../..")
    result = read(tar_with(link, _info("web/container-configs/scripts/more/evil")))
    assert (result.found, result.refused[0].name) == ((), "web")


def test_links_of_a_repository_beside_its_templates_are_told_and_hide_none() -> None:
    links = [_info(f"docs/{number}", type=tarfile.SYMTYPE, linkname="x") for number in range(150)]
    result = read(tar_with(*links))
    assert [content.name for content in result.found] == ["web"]
    assert len(result.refused) == 101
    assert result.refused[-1].why == "50 more members are left out"


def test_a_member_left_out_at_its_config_path_refuses_the_template_too() -> None:
    files = {"a/template.conf": b"TEMPLATE_CONFIG_PATH=lxc/a\n", "lxc/a/container-configs/scripts/1.sh": b""}
    out = io.BytesIO(tarred({f"repo/{path}": data for path, data in files.items()}))
    result_data = gzip.decompress(out.getvalue()).rstrip(b"\0")
    result_data += b"\0" * (-len(result_data) % 512)
    link = _info("repo/lxc/a/container-configs/scripts/2.sh", type=tarfile.SYMTYPE, linkname="1.sh")
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
    assert (result.refused[0].name, why in result.refused[0].why) == ("web", True)


def test_a_name_in_other_bytes_than_utf8_refuses_its_template() -> None:
    result = read(tar_with(_info("web/caf\udce9")))
    assert [(one.file, one.name) for one in result.refused] == [("web/caf\ufffd", "web")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_above_the_bound_of_one_refuses_its_template(kind: ArchiveKind) -> None:
    noise = os.urandom(1 << 20) * 17
    result = read(packed(kind, {**FOLDER, "web/container-configs/files/big": noise}))
    assert (result.found, result.refused[0].name) == ((), "web")
    assert f"{MAX_FILE_BYTES:,}" in result.refused[0].why


def test_a_zip_that_grows_too_much_is_refused_before_it_is_unpacked() -> None:
    data = zip_with("web/zeros", bytes(16 << 20), compression=zipfile.ZIP_DEFLATED)
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as made:
        made.writestr("web/zeros2", bytes(4 << 20), zipfile.ZIP_DEFLATED)
    error = refusal(out.getvalue())
    assert (error.file, "200 times" in error.message) == ("web/zeros", True)


def test_a_gzip_that_grows_too_much_is_given_up_on_the_way() -> None:
    error = refusal(gzip.compress(bytes(64 << 20), 9))
    assert (error.file, "200 times" in error.message) == ("upload.bin", True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_absolute_bound_holds_whatever_the_ratio(kind: ArchiveKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 2000)
    error = refusal(packed(kind, {**FOLDER, "web/a": os.urandom(1500), "web/b": os.urandom(1500)}))
    assert (error.file, "above 2,000 bytes" in error.message) == ("web/b", True)


def test_a_zip_whose_list_lies_about_a_size_is_refused() -> None:
    data = zip_with("web/a.md", b"x" * 5000, compression=zipfile.ZIP_DEFLATED)
    lied = data.replace(struct.pack("<I", 5000), struct.pack("<I", 50))
    error = refusal(lied)
    assert (error.file, "broken" in error.message) == ("web/a.md", True)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_members_are_refused(kind: ArchiveKind, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (unpacking, zipped, tarball):
        monkeypatch.setattr(module, "MAX_MEMBERS", 20)
    assert "20" in refusal(packed(kind, {**FOLDER, **{f"web/{n}.md": b"" for n in range(20)}})).message
    assert (
        "20"
        in refusal(packed(kind, {"web/" + "/".join("abcdefghij"): b"", **{f"{n}/{n}": b"" for n in range(9)}})).message
    )


def test_headers_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "MAX_MEMBERS", 20)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XGLTYPE, 0
    assert "80 headers" in refusal(gzip.compress(header.tobuf() * 100)).message
    header.size = tarball.MAX_HEADER_BYTES + 1
    assert "65,536" in refusal(gzip.compress(header.tobuf() + bytes(header.size) + bytes(1024))).message


def test_gzip_streams_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "MAX_STREAMS", 3)
    assert "3 streams" in refusal(gzip.compress(b"") * 5).message
    assert [content.name for content in read(tarred(FOLDER) + gzip.compress(b"")).found] == ["web"]


def test_an_archive_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_SECONDS", -1.0)
    assert "given up" in refusal(tarred(FOLDER)).message


def test_a_machine_without_room_says_so() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ServiceUnavailableError, match="no room to unpack"):
            read(zip_of({**FOLDER, "web/large.md": bytes(5000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_upload_above_the_bound_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 100)
    assert "100 bytes" in refusal(tarred(FOLDER)).message


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zip_with("web/secret.md", b"x"))
    listed = data.rindex(b"PK\x01\x02")
    data[listed + 8] |= 1
    error = refusal(bytes(data))
    assert (error.file, "encrypted" in error.message) == ("web/secret.md", True)


def test_a_packing_other_than_deflate_is_refused() -> None:
    error = refusal(zip_with("web/a.md", b"x" * 100, compression=zipfile.ZIP_LZMA))
    assert (error.file, "deflate" in error.message) == ("web/a.md", True)


@pytest.mark.parametrize(
    "info",
    [
        _info("web/x", type=tarfile.GNUTYPE_SPARSE),
        _info("web/x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "99999999999"}),
    ],
)
def test_a_sparse_file_is_refused(info: tarfile.TarInfo) -> None:
    assert "sparse" in refusal(tar_with(info)).message


def test_a_size_below_zero_or_beyond_the_end_is_refused() -> None:
    header = bytearray(_info("web/x").tobuf())
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    assert "below 0" in refusal(gzip.compress(bytes(header))).message
    assert "cut off" in refusal(gzip.compress(_info("web/x", b"x" * 5000).tobuf() + bytes(512))).message
    assert "no number" in refusal(tar_with(_info("web/x", pax_headers={"size": "many"}))).message


@pytest.mark.parametrize("record", [b"x", b"99 path=a\n", b"3 \n", b"10 path:ab\n", b"0 a=b\n", b"99999999999 a=b\n"])
def test_a_broken_extended_header_is_refused(record: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    assert "broken" in refusal(gzip.compress(header.tobuf() + record.ljust(512, b"\0") + bytes(1024))).message


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_every_format_are_read(form: int) -> None:
    name = (
        "web/container-configs/"
        + "/".join(["folder-" + "x" * 40] * 3)
        + ("/é.md" if form != tarfile.USTAR_FORMAT else "/e.md")
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as made:
        for path, data in {**FOLDER, name: b"x"}.items():
            made.addfile(_info(path, data), io.BytesIO(data))
    result = read(out.getvalue())
    assert ([content.name for content in result.found], result.refused) == (["web"], ())
    assert any("folder-x" in finding.file or "folder-x" in finding.message for finding in result.found[0].warnings)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)]
)
def test_what_is_no_archive_or_an_empty_one_is_refused(data: bytes) -> None:
    assert refusal(data).file == "upload.bin"


def test_an_archive_without_a_template_says_so() -> None:
    assert "no template.conf" in refusal(zip_of({"README.md": b"x"})).message
    assert "no template.conf" in refusal(gzip.compress(bytes(10240))).message


MAKERS: dict[ArchiveKind, Callable[[], bytes]] = {"zip": lambda: zip_of(FOLDER), "tar.gz": lambda: tarred(FOLDER)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_cut_off_anywhere_is_refused(kind: ArchiveKind) -> None:
    data = MAKERS[kind]()
    for end in range(len(data)):
        assert isinstance(outcome(data[:end]), TemplateError), end


@settings(max_examples=150, deadline=None)
# Some versions of zipfile warn of it and read on: our own bounds hold all the same.
@pytest.mark.filterwarnings("ignore:Overlapped entries:UserWarning")
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_an_archive_with_other_bytes_is_read_or_refused_and_never_breaks_us(
    kind: ArchiveKind, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(MAKERS[kind]())
    for place, byte in changes:
        data[place % len(data)] = byte
    outcome(bytes(data))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12))
@example([(156, ord("x")), (124, ord("7"))])
def test_a_tar_with_other_bytes_is_read_or_refused_and_never_breaks_us(changes: list[tuple[int, int]]) -> None:
    data = bytearray(gzip.decompress(MAKERS["tar.gz"]()))
    for place, byte in changes:
        data[place % len(data)] = byte
    mended = bytearray()
    for start in range(0, len(data), 512):
        block = data[start : start + 512]
        if block[257:262] == b"ustar":  # a header: its checksum is made to fit, so that what it says is looked at
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        mended += block
    outcome(gzip.compress(bytes(mended), 1))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\0", b""]), st.binary(max_size=600))
def test_bytes_of_any_kind_are_refused(beginning: bytes, rest: bytes) -> None:
    assert isinstance(outcome(beginning + rest), TemplateError)
