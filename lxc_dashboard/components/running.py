"""What runs now, in the top bar of every page, drawn by ``running.js``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.scripts import script

# mypy takes Reflex's annotation of an event trigger for a value.
if TYPE_CHECKING:
    NoArgs = rx.EventHandler
else:
    NoArgs = rx.EventHandler[rx.event.no_args_event_spec]

_RUNNING = script(__name__, "running.js")


class RunningNow(rx.Component):
    """A button with the number of what runs, and the drawer that it opens."""

    library = _RUNNING
    tag = "Running"

    now: rx.Var[dict[str, Any]] = field()
    jobs_url: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()
    on_watch: NoArgs
    on_leave: NoArgs


def running_now(now: Any, *, on_watch: Any, on_leave: Any) -> rx.Component:
    """``now`` is what the hub pushes; while the page is seen its tab is in the room of that."""
    return RunningNow.create(
        now=now, jobs_url=routes.JOBS, words=dict(text.RUNNING_WORDS), on_watch=on_watch, on_leave=on_leave
    )
