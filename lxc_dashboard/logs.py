"""Logging: one line per event to stderr, both from structlog and from the libraries' loggers."""

from __future__ import annotations

import logging
import sys
from io import StringIO
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from lxc_dashboard.messages import Message
from lxc_dashboard.printable import printable, printable_lines
from lxc_dashboard.text.messages import with_remedy

# These libraries log each request or heartbeat at INFO.
_TALKATIVE: Final = ("httpx", "httpcore", "paramiko", "asyncssh", "alembic", "kombu", "redbeat", "celery.beat")


def configure(level: str = "INFO", *, json: bool = False) -> None:
    """Set up logging for this process. ``level`` is the name of a Python level. ``json``: log JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _on_one_line, _renderer(json=json)],
        )
    )
    _take_over(handler, level)


def _renderer(*, json: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer()
    # Leaves variables out of tracebacks, because they may hold tickets and passwords.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)


def _take_over(handler: logging.Handler, level: str) -> None:
    """Send all log events to ``handler`` only."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _on_one_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Turn messages into text, and escape each value, because strangers choose paths, headers and names."""
    words = {key: with_remedy(value) if isinstance(value, Message) else value for key, value in event.items()}
    return {key: printable(value) if isinstance(value, str) else value for key, value in words.items()}


def _traceback(out: TextIO, error: ExcInfo) -> None:
    """Write an escaped traceback, because error messages quote input from strangers."""
    written = StringIO()
    structlog.dev.plain_traceback(written, error)
    out.write(printable_lines(written.getvalue()))
