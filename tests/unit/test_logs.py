"""Untrusted input is logged as text, within its own line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from lxc_dashboard import logs
from lxc_dashboard.errors import ErrorCode
from lxc_dashboard.messages import Message

HOSTILE = "/\x1b]0;owned\x07\x9b31m\r\n2026-11-26 [info] signed in userid=root@pam\u2028\x7f\u202emap@toor\u2066"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    out = StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure()
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_no_value_moves_a_cursor_or_begins_a_line(written: StringIO) -> None:
    structlog.get_logger("a").warning("refused", path=HOSTILE)
    structlog.get_logger("a").warning(HOSTILE)
    logging.getLogger("library").warning("got %s", HOSTILE)
    said = written.getvalue()
    assert len(said.splitlines()) == 3
    assert all(character.isprintable() for line in said.split("\n") for character in line)
    assert "\\x1b]0;owned" in said


def test_no_error_does_either(written: StringIO) -> None:
    structlog.get_logger("a").error("broke", exc_info=ValueError(HOSTILE))
    said = written.getvalue()
    assert "ValueError" in said
    assert all(character.isprintable() for line in said.split("\n") for character in line)


def test_a_message_is_written_in_words_and_on_one_line(written: StringIO) -> None:
    why = Message.of(ErrorCode.TEMPLATE, file=HOSTILE, message=Message(text="is wrong"))
    structlog.get_logger("a").warning("template refused", why=why)
    said = written.getvalue()
    assert ": is wrong" in said
    assert len(said.splitlines()) == 1
    assert all(character.isprintable() for character in said.rstrip("\n"))
