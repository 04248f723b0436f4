"""Errors that rise out of a handler: shown with a reference, logged under it, and nothing secret in either."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Final

import structlog
from reflex.event import EventSpec

from lxc_dashboard import text
from lxc_dashboard.errors import BusyGuestError, DashboardError, InvalidInputError, SessionExpiredError
from lxc_dashboard.state.notices import regretted
from lxc_dashboard.state.session import SessionState

log = structlog.get_logger(__name__)

# Reflex logs what a browser sent, whole: the Cookie header, and whatever was typed.
_TELLING: Final = re.compile(
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
    """A short id that stands in the page and in the log, so that one leads to the other."""
    return secrets.token_hex(4)


def recorded(event: str, exception: Exception) -> tuple[str, str]:
    """Logs the error as ``event``, once; what may be shown of it, and the reference that stands in the log.

    Of a fault of ours nothing is shown but that there was one: its words may hold anything.
    """
    shown = reference()
    if isinstance(exception, DashboardError):
        log.warning(event, reference=shown, error=type(exception).__name__, why=str(exception))
        return message_of(exception), shown
    log.error(event, reference=shown, exc_info=exception)
    return text.UNEXPECTED, shown


def show_problem(exception: Exception) -> EventSpec | None:
    """The app's one handler of errors in event handlers."""
    if isinstance(exception, SessionExpiredError):
        log.info("handler without a session", reference=reference(), why=exception.detail)
        return SessionState.verify()
    first = exception.job_id if isinstance(exception, BusyGuestError) else None
    return regretted(*recorded("handler failed", exception), first)


def message_of(error: DashboardError) -> str:
    """What to show, with each field's fault where there are some."""
    if isinstance(error, InvalidInputError) and error.fields:
        return f"{error.user_message}: {'; '.join(f'{name} {fault}' for name, fault in error.fields.items())}"
    return error.user_message


class Discreet(logging.Filter):
    """Cuts a record of Reflex's where it begins to repeat what a browser sent. Of an exception its kind is kept:
    ``show_problem`` logs those of handlers, and the others quote what they could not read.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        cut = _TELLING.sub(r"\1 (left out)", message)
        kind = record.exc_info[0] if record.exc_info else None
        if kind is not None:
            cut = f"{cut} ({kind.__name__})"
            record.exc_info = record.exc_text = None
        if cut != message:
            record.msg, record.args = cut, ()
        return True


def quiet_reflex() -> None:
    """Puts ``Discreet`` on every logger of Reflex's that is known to repeat events. Safe to call again."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, Discreet) for present in logger.filters):
            logger.addFilter(Discreet())
