"""How the product's processes log: one line an event, structlog and the libraries' own loggers alike, to stderr."""

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

# Libraries that tell of each request or heartbeat at INFO.
_TALKATIVE: Final = ("httpx", "httpcore", "paramiko", "asyncssh", "alembic", "kombu", "redbeat", "celery.beat")


def configure(level: str = "INFO", *, json: bool = False) -> None:
    """Set up logging for this process. ``level`` is Python's name of a level; ``json`` for a line that machines read."""
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
    # A traceback without the values of its variables: tickets and passwords are among them.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)


def _take_over(handler: logging.Handler, level: str) -> None:
    """Everything goes to ``handler`` alone."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _on_one_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Paths, headers and names come from strangers: each stays within its own place of its own line. A message is in words."""
    words = {key: with_remedy(value) if isinstance(value, Message) else value for key, value in event.items()}
    return {key: printable(value) if isinstance(value, str) else value for key, value in words.items()}


def _traceback(out: TextIO, error: ExcInfo) -> None:
    """The messages of errors quote what strangers sent."""
    written = StringIO()
    structlog.dev.plain_traceback(written, error)
    out.write(printable_lines(written.getvalue()))
