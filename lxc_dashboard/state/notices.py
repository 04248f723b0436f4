"""Notices in the corner of a page. Errors stay until they are closed, others disappear.

Reflex's own toasts evaluate code in the browser when a handler sends them, which our Content-Security-Policy refuses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes
from lxc_dashboard.state.guard import requires

KEPT: Final = 5
MESSAGE_CHARS: Final = 1000
JOB_CHARS: Final = 36


@dataclass(frozen=True)
class Notice:
    """``id`` grows with time. ``tone`` is good, warm or bad. ``href``: the page of its job."""

    id: int
    message: str
    tone: str
    reference: str = ""
    href: str = ""


class NoticeState(rx.State):
    """The newest notices. The page shows each once."""

    notices: list[Notice] = []

    @requires(unattended=True)
    def show(self, message: str, tone: str, reference: str, job: str = "") -> None:
        """Add a notice. A browser that calls it by name reaches only its own page."""
        newest = max(time.time_ns() // 1_000_000, *(notice.id + 1 for notice in self.notices), 0)
        href = routes.job(str(job)[:JOB_CHARS]) if job else ""
        notice = Notice(newest, str(message)[:MESSAGE_CHARS], str(tone)[:8], str(reference)[:16], href)
        self.notices = [*self.notices, notice][-KEPT:]


def notify(message: str, job: UUID | None = None) -> Any:
    """Show a result, such as "Started CT 101 web-01", with a link to ``job``. Return or yield it from a handler."""
    return NoticeState.show(message, "good", "", _id_of(job))


def notify_warning(message: str, job: UUID | None = None) -> Any:
    """Show a result that needs attention."""
    return NoticeState.show(message, "warm", "", _id_of(job))


def notify_error(message: str, reference: str = "", job: UUID | None = None) -> Any:
    """Show a failure until the user closes it."""
    return NoticeState.show(message, "bad", reference, _id_of(job))


def _id_of(job: UUID | None) -> str:
    return str(job) if job else ""
