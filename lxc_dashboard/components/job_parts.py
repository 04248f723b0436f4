"""Parts of pages about jobs, drawn by ``job_parts.js``."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.controls import link
from lxc_dashboard.components.scripts import NoArgs, script

_JOB_PARTS = script(__name__, "job_parts.js")


class JobPart(rx.Component):
    """One export of ``job_parts.js``."""

    library = _JOB_PARTS


class ElapsedPart(JobPart):
    tag = "Elapsed"
    seconds: rx.Var[float] = field()
    running: rx.Var[bool] = field()
    label: rx.Var[str] = field()


class WatchPart(JobPart):
    tag = "Watch"
    tick: rx.Var[int] = field()
    on_watch: NoArgs
    on_tick: NoArgs
    on_leave: NoArgs


class CredentialsPart(JobPart):
    tag = "Credentials"
    base: rx.Var[str] = field()
    names: rx.Var[list[str]] = field()
    words: rx.Var[dict[str, str]] = field()


def elapsed(seconds: Any, running: Any, label: Any = "") -> rx.Component:
    """A duration that counts on while ``running``; nothing if ``seconds`` is negative."""
    return ElapsedPart.create(seconds=seconds, running=running, label=label)


def job_state(dot: Any, *words: Any, **props: Any) -> rx.Component:
    """A state: its dot and its words."""
    drawn = rx.el.span(class_name="dot " + rx.Var.create(dot).to(str), aria_hidden=True)
    return rx.el.span(drawn, *words, class_name="job-state", **props)


def progress_bar(percent: Any) -> rx.Component:
    return rx.el.div(
        rx.el.div(class_name="job-bar-fill", style={"width": percent.to_string() + "%"}),
        class_name="job-bar",
        role="progressbar",
        aria_label=text.PROGRESS,
        aria_valuenow=percent,
        aria_valuemin=0,
        aria_valuemax=100,
    )


def watch(tick: Any, *, on_watch: Any, on_tick: Any, on_leave: Any) -> rx.Component:
    """Draws nothing. Keeps a visible tab in the room whose pushes change ``tick``."""
    return WatchPart.create(tick=tick, on_watch=on_watch, on_tick=on_tick, on_leave=on_leave)


def job_name(row: Any) -> rx.Component:
    """Links to the job and its batch."""
    batch = link(text.BATCH, row.batch_href, class_name="badge", aria_label=text.BATCH_OF_JOB)
    return rx.el.span(link(row.name, row.href), rx.cond(row.batch_href != "", batch), class_name="job-name")


def credentials(base: Any, names: Any) -> rx.Component:
    """Secrets by name. Revealing one reads it from an address under ``base``."""
    return CredentialsPart.create(base=base, names=names, words=dict(text.CREDENTIAL_WORDS))
