"""Archives that are larger than they look, or endless."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import tarfile
import zipfile

import pytest

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.sources import archive, unpacking
from lxc_dashboard.services.templates.sources.archive import KINDS, ArchiveKind, read
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.sources.archives import FOLDER, packed, tarred
from tests.unit.services.templates.sources.archives import zipped as zip_of
from tests.unit.services.templates.sources.unpacking.hostile import refusal, zip_with


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_above_the_bound_of_one_refuses_its_template(kind: ArchiveKind) -> None:
    noise = os.urandom(1 << 20) * 17
    result = read(packed(kind, {**FOLDER, "web/container-configs/files/big": noise}))
    assert (result.found, result.refused[0].name) == ((), "web")
    assert f"{MAX_FILE_BYTES:,}" in in_words_of(result.refused[0].why)


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
    for module in (unpacking, archive):
        monkeypatch.setattr(module, "MAX_MEMBERS", 20)
    assert "20" in refusal(packed(kind, {**FOLDER, **{f"web/{n}.md": b"" for n in range(20)}})).message
    assert (
        "20"
        in refusal(packed(kind, {"web/" + "/".join("abcdefghij"): b"", **{f"{n}/{n}": b"" for n in range(9)}})).message
    )


def test_headers_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 20)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XGLTYPE, 0
    assert "80 headers" in refusal(gzip.compress(header.tobuf() * 100)).message
    header.size = archive.MAX_HEADER_BYTES + 1
    assert "65,536" in refusal(gzip.compress(header.tobuf() + bytes(header.size) + bytes(1024))).message


def test_gzip_streams_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_STREAMS", 3)
    assert "3 streams" in refusal(gzip.compress(b"") * 5).message
    assert [content.name for content in read(tarred(FOLDER) + gzip.compress(b"")).found] == ["web"]


def test_an_archive_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_SECONDS", -1.0)
    assert "was not reached within" in refusal(tarred(FOLDER)).message


def test_a_machine_without_room_says_so() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ServiceUnavailableError, match="No disk space to unpack"):
            read(zip_of({**FOLDER, "web/large.md": bytes(5000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_upload_above_the_bound_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 100)
    assert "100 bytes" in refusal(tarred(FOLDER)).message
