"""Printable text has no characters that hide or reorder text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.printable import all_printable, has_hidden, printable, printable_lines

HIDDEN = (
    "\x00",
    "\n",
    "\x1b",
    "\x7f",
    "\x9b",
    "\u061c",
    "\u200b",
    "\u200e",
    "\u2028",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\U000e0041",
)


@pytest.mark.parametrize("character", HIDDEN)
def test_a_hidden_character_is_shown_as_its_escape(character: str) -> None:
    text = f"a{character}b"
    assert has_hidden(text)
    assert printable(text).isascii()
    assert f"{ord(character):02x}" in printable(text)
    assert not has_hidden(printable(text))
    assert all_printable({text: [text, 1, (text,)]}) == {printable(text): [printable(text), 1, [printable(text)]]}


@given(st.text())
def test_only_what_does_not_show_is_changed(text: str) -> None:
    changed = printable(text)
    assert (changed != text) is has_hidden(text)
    assert not {unicodedata.category(character) for character in changed} & {"Cc", "Zl", "Zp"}
    if text.isprintable() and not has_hidden(text):
        assert changed == text
    assert printable_lines(text).replace("\n", "").replace("\t", "") == printable(
        text.replace("\n", "").replace("\t", "")
    )


def test_a_name_of_any_script_stays_as_it_is() -> None:
    assert not has_hidden("Ångström-李@pve עברית")
