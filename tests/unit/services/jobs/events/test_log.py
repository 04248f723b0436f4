"""Lines as pages show them: numbered for any content of a message, and as a terminal displays them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.services.jobs.events.lines import (
    CHARS_A_TURN,
    LINES_A_TURN,
    ProgressEvent,
    Span,
    in_turns,
    lines_of,
    lines_with,
    plain,
    shown,
    spans_of,
)
from lxc_dashboard.text import in_words

AT = datetime(2026, 11, 24, tzinfo=UTC)
RED = "\x1b[31m"
RESET = "\x1b[0m"


def chunk(seq: int, message: str, lines: int = 1, phase: Phase = Phase.SYNCING) -> ProgressEvent:
    return ProgressEvent(seq, EventType.LOG, phase, 70, message, AT, lines=lines, script="20-nginx.sh")


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("plain text", "plain text"),
        ("10%\r50%\r100%", "100%"),
        ("done\r", "done"),
        ("done\r\n", "done"),
        (f"{RED}red{RESET} and not", f"{RED}red{RESET} and not"),
        ("\x1b]0;a window's title\x07text", "text"),
        ("\x1b[2K\x1b[1Gtext\x1b[?25l", "text"),
        ("\x1b(Btext\x1b=", "text"),
        ("bo\x08old", "bold"),
        ("bell\x07 and\x9b more", "bell and more"),
        ("tab\tstays", "tab\tstays"),
        ("an escape cut short \x1b", "an escape cut short "),
        ("äöü 日本 🎉", "äöü 日本 🎉"),
    ],
)
def test_a_line_is_shown_as_a_terminal_leaves_it(printed: str, seen: str) -> None:
    assert shown(printed) == seen


def test_a_long_line_is_cut_and_says_so() -> None:
    assert shown("x" * 20, chars=10) == "x" * 10 + " …"
    assert shown("x" * 10, chars=10) == "x" * 10


def test_the_end_of_a_long_progress_bar_is_what_is_kept() -> None:
    assert shown("\r".join(f"{percent} %" for percent in range(10_000)), chars=50) == "9999 %"


def test_a_cut_through_an_escape_leaves_none_of_it() -> None:
    assert "\x1b" not in shown(f"ab{RED}red", chars=3)


def test_colours_can_be_taken_off() -> None:
    assert plain(f"{RED}red\x1b[38;5;46mgreen{RESET}") == "redgreen"


@given(st.text(max_size=400))
def test_nothing_shown_moves_a_cursor(printed: str) -> None:
    left = plain(shown(printed))
    assert not any(ord(letter) < 32 and letter != "\t" for letter in left)
    assert not any(0x7F <= ord(letter) <= 0x9F for letter in left)


@given(st.text(alphabet="ab\x1b[0;31mK\r\x08\x07]8(B", max_size=200))
def test_escapes_of_any_shape_leave_no_control_character(printed: str) -> None:
    assert not set(plain(shown(printed))) & set(map(chr, [*range(9), *range(10, 32), 127]))


@given(st.text(alphabet="ab\x08", max_size=60))
def test_backspaces_take_what_stands_before_them(printed: str) -> None:
    seen = printed
    while (shorter := re.sub(r"[^\x08]\x08", "", seen)) != seen:
        seen = shorter
    assert shown(printed) == seen.replace("\x08", "")


def test_no_line_of_backspaces_keeps_the_process_busy() -> None:
    hostile = ["a" * 8000 + "\x08" * 8000, "a\x08" * 8000, "\x1b]" * 8000, "\x1b[" + "0" * 16000, "\x1bP" * 8000]
    began = time.process_time()
    for _ in range(20):
        for line in hostile:
            shown(line)
    assert time.process_time() - began < 4


def test_lines_of_a_chunk_are_numbered_one_by_one() -> None:
    lines = lines_of([chunk(5, "a\nb\nc", 3), chunk(8, "d")], 6, 8)
    assert [(line.seq, line.text) for line in lines] == [(6, "b"), (7, "c"), (8, "d")]
    assert {line.script for line in lines} == {"20-nginx.sh"}


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(1, 5)), max_size=8), st.integers(0, 30), st.integers(0, 30))
def test_every_wanted_number_has_its_line_whatever_the_messages_hold(
    messages: list[tuple[str, int]], first: int, last: int
) -> None:
    events, seq = [], 1
    for message, lines in messages:
        events.append(chunk(seq, message, lines))
        seq += lines
    wanted = [number for number in range(1, seq) if first <= number <= last]
    assert [line.seq for line in lines_of(events, first, last)] == wanted


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([(1, 10)] * 3, [3]),
        ([(LINES_A_TURN, 10)] * 3, [1, 1, 1]),
        ([(1, 10)] * 1200, [500, 500, 200]),
        ([(1, CHARS_A_TURN)] * 2, [1, 1]),
        ([(1, 10), (2 * LINES_A_TURN, 10), (1, 2 * CHARS_A_TURN), (1, 10)], [1, 1, 1, 1]),
    ],
)
def test_what_is_made_of_a_log_at_a_time_is_bounded(sizes: list[tuple[int, int]], groups: list[int]) -> None:
    events, seq = [], 1
    for lines, chars in sizes:
        events.append(chunk(seq, "x" * chars, lines))
        seq += lines
    found = list(in_turns(events))
    assert [len(group) for group in found] == groups
    assert [event for group in found for event in group] == events


def test_lines_that_show_a_text_are_found_by_number() -> None:
    event = chunk(5, f"Setting up {RED}nginx{RESET}\nngi{RED}nx\n{RED}NGINX\nnginx\rgone", 4)
    assert lines_with(event, "nginx", 1, 100, in_words) == [5, 6, 7]
    assert lines_with(event, "Nginx", 6, 6, in_words) == [6]
    assert lines_with(event, "31m", 1, 100, in_words) == []


def test_a_line_with_a_code_is_found_by_its_words() -> None:
    event = ProgressEvent(
        5, EventType.STEP, Phase.STARTING, 30, "", AT, code="guest.address", params={"address": "10.0.0.5"}
    )
    assert lines_with(event, "ADDRESS IS 10.0", 1, 100, in_words) == [5]
    assert lines_with(event, "guest.address", 1, 100, in_words) == []


def test_neighbouring_lines_of_one_phase_are_one_span() -> None:
    events = [
        chunk(1, "a", phase=Phase.CREATING),
        chunk(2, "b\nc", 2, phase=Phase.CREATING),
        chunk(4, "d"),
        chunk(5, "e", phase=Phase.CREATING),
    ]
    assert spans_of(events) == (Span("creating", 1, 3), Span("syncing", 4, 4), Span("creating", 5, 5))
    assert spans_of([]) == ()
