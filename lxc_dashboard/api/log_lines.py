"""The lines of a job's log in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lxc_dashboard import text
from lxc_dashboard.services.jobs.lines import LINE_CHARS, LogLine, shown


def in_words(lines: Iterable[LogLine], *, chars: int = LINE_CHARS) -> Iterator[LogLine]:
    """``lines`` with a text each, cut to ``chars``."""
    for line in lines:
        yield replace(line, text=shown(text.in_words(line.code, line.params), chars)) if line.code else line
