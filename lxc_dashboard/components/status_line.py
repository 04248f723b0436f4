"""The left part of the status line of every page, drawn by ``status_line.js``."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.scripts import script

_STATUS_LINE = script(__name__, "status_line.js")


class StatusLine(rx.Component):
    """How old what is known of PVE is, its version, and how many nodes answer."""

    library = _STATUS_LINE
    tag = "StatusLine"

    feed: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()


def status_line(feed: Any) -> rx.Component:
    """``feed`` is what the hub pushes to every page that is seen."""
    return StatusLine.create(feed=feed, words=dict(text.STATUS_WORDS))
