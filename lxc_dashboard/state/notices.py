"""What a handler tells the user: a line at the corner of the page that goes by itself, or stays when it is bad.

Reflex's own toasts evaluate code in the browser when a handler sends them, which our Content-Security-Policy refuses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import reflex as rx

from lxc_dashboard.state.guard import requires

KEPT: Final = 5
MESSAGE_CHARS: Final = 1000


@dataclass(frozen=True)
class Notice:
    """``id`` grows with time. ``tone`` is good, warm or bad."""

    id: int
    message: str
    tone: str
    reference: str = ""


class NoticeState(rx.State):
    """The newest notices; the page shows each once."""

    notices: list[Notice] = []

    @requires(unattended=True)
    def show(self, message: str, tone: str, reference: str) -> None:
        """Adds one. Called by name from a browser it can only speak to itself."""
        newest = max(time.time_ns() // 1_000_000, *(notice.id + 1 for notice in self.notices), 0)
        notice = Notice(newest, str(message)[:MESSAGE_CHARS], str(tone)[:8], str(reference)[:16])
        self.notices = [*self.notices, notice][-KEPT:]


def said(message: str) -> Any:
    """A result, in the past tense: "Started CT 101 web-01". Return or yield it from a handler."""
    return NoticeState.show(message, "good", "")


def warned(message: str) -> Any:
    """A result that asks for attention."""
    return NoticeState.show(message, "warm", "")


def regretted(message: str, reference: str = "") -> Any:
    """What did not work; stays until it is closed."""
    return NoticeState.show(message, "bad", reference)
