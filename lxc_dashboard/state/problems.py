"""Notices in the corner of a page. An error of an event handler is shown with a reference, and logged under it.

Errors stay until the user closes them; other notices disappear. Reflex's own toasts are not used: sent by a handler, they
evaluate code in the browser, which our Content-Security-Policy refuses. The log gets no secrets.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import reflex as rx
import structlog
from reflex.event import EventSpec

from lxc_dashboard import routes, text
from lxc_dashboard.errors import BusyGuestError, DashboardError, InvalidInputError, SessionExpiredError
from lxc_dashboard.state.guard import requires
from lxc_dashboard.state.session import SessionState

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
        """Add a notice. A browser can call it by name too, but only for its own page."""
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


log = structlog.get_logger(__name__)

# Reflex logs whole messages of a browser, with the Cookie header and the user's input.
_QUOTING: Final = re.compile(
    r"(Error processing event queue entry for|Event data:|event data:|with value|must be a dictionary, but received).*",
    re.DOTALL,
)
_LOGGERS: Final = (
    "reflex.app",
    "reflex_base.event.processor.event_processor",
    "reflex_base.event.processor.base_state_processor",
    "engineio.server",
    "socketio.server",
)


def reference() -> str:
    """A short random id, shown on the page and logged, so that the log entry of a notice can be found."""
    return secrets.token_hex(4)


def recorded(event: str, exception: Exception) -> tuple[str, str]:
    """Log the error as ``event``; return its text for the page, and its reference.

    An unexpected error gets a general text, because its own message may contain secrets.
    """
    shown = reference()
    if isinstance(exception, DashboardError):
        log.warning(event, reference=shown, error=type(exception).__name__, why=str(exception))
        return message_of(exception), shown
    log.error(event, reference=shown, exc_info=exception)
    return text.UNEXPECTED, shown


def show_problem(exception: Exception) -> EventSpec | None:
    """The app's handler of errors in event handlers. It logs the error and shows a notice."""
    if isinstance(exception, SessionExpiredError):
        log.info("handler without a session", reference=reference(), why=exception.detail)
        return SessionState.verify()
    first = exception.job_id if isinstance(exception, BusyGuestError) else None
    return notify_error(*recorded("handler failed", exception), first)


def message_of(error: DashboardError) -> str:
    """The error's text, with the errors of fields if it has any."""
    if isinstance(error, InvalidInputError) and error.fields:
        return f"{error.user_message}: {'; '.join(f'{name} {fault}' for name, fault in error.fields.items())}"
    return error.user_message


class Discreet(logging.Filter):
    """Cuts a log record of Reflex where it begins to quote a browser's message.

    Keeps only the class of an exception. ``show_problem`` logs those of handlers; others may quote the message.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        cut = _QUOTING.sub(r"\1 (left out)", message)
        kind = record.exc_info[0] if record.exc_info else None
        if kind is not None:
            cut = f"{cut} ({kind.__name__})"
            record.exc_info = record.exc_text = None
        if cut != message:
            record.msg, record.args = cut, ()
        return True


def quiet_reflex() -> None:
    """Add ``Discreet`` to each logger of Reflex that quotes events. Safe to call again."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, Discreet) for present in logger.filters):
            logger.addFilter(Discreet())
