"""Broken archives and random bytes are read or refused, and never crash the reader."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.sources.archive import KINDS, ArchiveKind, ImportResult, read
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.sources.archives import FOLDER, tarred
from tests.unit.services.templates.sources.archives import zipped as zip_of
from tests.unit.services.templates.sources.unpacking.hostile import info_of, refusal, tar_with, zip_with


def outcome(data: bytes) -> ImportResult | TemplateError:
    try:
        return read(data, "upload.bin")
    except TemplateError as error:
        return error


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
        info_of("web/x", type=tarfile.GNUTYPE_SPARSE),
        info_of("web/x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "99999999999"}),
    ],
)
def test_a_sparse_file_is_refused(info: tarfile.TarInfo) -> None:
    assert "sparse" in refusal(tar_with(info)).message


def test_a_size_below_zero_or_beyond_the_end_is_refused() -> None:
    header = bytearray(info_of("web/x").tobuf())
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    assert "below 0" in refusal(gzip.compress(bytes(header))).message
    assert "cut off" in refusal(gzip.compress(info_of("web/x", b"x" * 5000).tobuf() + bytes(512))).message
    assert "no number" in refusal(tar_with(info_of("web/x", pax_headers={"size": "many"}))).message


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
            made.addfile(info_of(path, data), io.BytesIO(data))
    result = read(out.getvalue())
    assert ([content.name for content in result.found], result.refused) == (["web"], ())
    assert any(
        "folder-x" in finding.file or "folder-x" in in_words_of(finding.message) for finding in result.found[0].warnings
    )


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


# Some versions of zipfile only warn of overlaps. The product's own bounds still apply.
@pytest.mark.filterwarnings("ignore:Overlapped entries:UserWarning")
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_an_archive_with_other_bytes_is_read_or_refused_and_never_breaks_us(
    kind: ArchiveKind, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(MAKERS[kind]())
    for place, byte in changes:
        data[place % len(data)] = byte
    outcome(bytes(data))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12))
@example([(156, ord("x")), (124, ord("7"))])
def test_a_tar_with_other_bytes_is_read_or_refused_and_never_breaks_us(changes: list[tuple[int, int]]) -> None:
    data = bytearray(gzip.decompress(MAKERS["tar.gz"]()))
    for place, byte in changes:
        data[place % len(data)] = byte
    mended = bytearray()
    for start in range(0, len(data), 512):
        block = data[start : start + 512]
        if block[257:262] == b"ustar":  # recompute the checksum of a header, so that the reader parses it
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        mended += block
    outcome(gzip.compress(bytes(mended), 1))


@given(st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\0", b""]), st.binary(max_size=600))
def test_bytes_of_any_kind_are_refused(beginning: bytes, rest: bytes) -> None:
    assert isinstance(outcome(beginning + rest), TemplateError)
