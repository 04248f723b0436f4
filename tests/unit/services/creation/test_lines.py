"""Output of a guest as lines: numbered without gaps at any cut, and short names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.services.creation.steps.sync import LINE_LIMIT_BYTES, LineReader, fit_name


@given(st.binary(max_size=400), st.lists(st.integers(1, 40), max_size=30))
def test_lines_and_offset_fit_however_output_is_cut(output: bytes, cuts: list[int]) -> None:
    reader, at, lines = LineReader(0), 0, []
    for cut in [*cuts, len(output)]:
        lines += reader.feed(output[at : at + cut])
        assert output[: reader.offset].count(b"\n") == len(lines)
        at += cut
    lines += reader.close()
    pieces = output.split(b"\n")
    pieces = pieces if pieces[-1] else pieces[:-1]
    assert lines == [piece.removesuffix(b"\r").decode("utf-8", "replace") for piece in pieces]
    assert reader.offset == len(output)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_reader_that_dies_anywhere_loses_and_doubles_nothing(output: bytes, death: int) -> None:
    first = LineReader(0)
    lines = first.feed(output[:death])
    second = LineReader(first.offset)
    lines += second.feed(output[first.offset :])
    lines += second.close()
    whole = LineReader(0)
    assert lines == whole.feed(output) + whole.close()


def test_a_line_without_end_is_cut_between_characters() -> None:
    reader = LineReader(0)
    text = "ü" * LINE_LIMIT_BYTES
    lines = reader.feed(b"x" + text.encode()) + reader.close()
    assert "".join(lines) == f"x{text}"
    assert reader.offset == 1 + 2 * LINE_LIMIT_BYTES


def test_a_line_without_end_and_without_characters_is_cut_where_it_is_too_long() -> None:
    reader = LineReader(0)
    lines = reader.feed(b"\x80" * (LINE_LIMIT_BYTES + 1))
    assert (len(lines), reader.offset) == (1, LINE_LIMIT_BYTES)


@given(st.text())
def test_any_name_becomes_one_that_a_guest_can_bear(text: str) -> None:
    name = fit_name(text)
    assert name[0].isascii()
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
