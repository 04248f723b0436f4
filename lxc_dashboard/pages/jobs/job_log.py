"""The log of a job, drawn by ``job_log.js``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.scripts import script

# mypy takes Reflex's annotation of an event trigger for a value.
if TYPE_CHECKING:
    NoArgs = rx.EventHandler
else:
    NoArgs = rx.EventHandler[rx.event.no_args_event_spec]

# What job_log.js imports must lie beside it.
for _name in ("job_lines.js", "job_stream.js"):
    script(__name__, _name)
_JOB_LOG = script(__name__, "job_log.js")


class JobLog(rx.Component):
    """Reads the lines under ``base`` by number and follows its stream; tells ``on_change`` when more than lines changed.

    A click on anything of the page with ``data-log-seq`` shows the line of that number.
    """

    library = _JOB_LOG
    tag = "JobLog"

    base: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()
    phases: rx.Var[list[str]] = field()
    on_change: NoArgs


def job_log(base: Any, phases: Any, on_change: Any) -> rx.Component:
    """``phases``: the names of a creation's phases, in order; empty for other jobs."""
    return JobLog.create(base=base, phases=phases, words=dict(text.LOG_WORDS), on_change=on_change)
