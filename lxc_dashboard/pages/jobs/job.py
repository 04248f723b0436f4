"""The page of one job: facts, result or choices, the steps of a creation, and the live log. ``job_log.js`` draws the log."""

from __future__ import annotations

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel
from lxc_dashboard.components.controls import icon, link, mono
from lxc_dashboard.components.job_parts import elapsed, job_state, progress_bar
from lxc_dashboard.components.scripts import NoArgs, script
from lxc_dashboard.components.widgets import ago, confirm_button
from lxc_dashboard.db.models import Phase
from lxc_dashboard.pages.jobs.outcome import named, outcome
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.jobs.job import JobState, PhaseRow, StepRow

# job_log.js imports them.
for _name in ("job_lines.js", "job_stream.js"):
    script(__name__, _name)
_JOB_LOG = script(__name__, "job_log.js")


class JobLog(rx.Component):
    """Reads the lines under ``base`` by number, and follows its stream. Calls ``on_change`` when more than lines changed.

    ``phases``: those of a creation in order; empty for other jobs. A click on an element with ``data-log-seq`` shows the line
    of that number.
    """

    library = _JOB_LOG
    tag = "JobLog"

    base: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()
    phases: rx.Var[list[str]] = field()
    on_change: NoArgs


def _actions() -> rx.Component:
    return rx.cond(
        JobState.may_cancel,
        confirm_button(
            text.CANCEL_JOB,
            title=rx.cond(JobState.creates, named(text.CANCEL_JOB_TITLE), named(text.CANCEL_ACT_TITLE)),
            consequence=rx.cond(JobState.creates, text.CANCEL_JOB_CONSEQUENCE, text.CANCEL_ACT_CONSEQUENCE),
            verb=rx.cond(JobState.creates, text.CANCEL_JOB_VERB, text.CANCEL_ACT_VERB),
            cancel=text.DO_NOT_CANCEL,
            on_confirm=JobState.cancel,
        ),
    )


@page(
    routes.JOB,
    JobState.title,
    tab_title=text.JOB,
    crumbs=((text.NAV_JOBS, routes.JOBS),),
    on_load=JobState.load,
    of=JobState,
    actions=_actions,
)
def job() -> rx.Component:
    return page_states(JobState, _job, missing=_missing(), retry=JobState.load)


def _missing() -> rx.Component:
    return missing_block(text.MISSING_JOB, text.MISSING_JOB_DETAIL, text.ALL_JOBS_THERE, routes.JOBS)


def _job() -> rx.Component:
    return rx.el.div(
        _head(),
        rx.cond(JobState.unknown != "", note(JobState.unknown, tone="warm")),
        outcome(),
        rx.el.div(
            rx.cond(
                JobState.creates,
                panel(text.STEPS, rx.el.ol(rx.foreach(JobState.phases, _phase), class_name="steps")),
            ),
            JobLog.create(
                base=JobState.log_base,
                phases=rx.cond(JobState.creates, [phase.value for phase in Phase], []),
                words=dict(text.LOG_WORDS),
                on_change=JobState.refresh,
            ),
            class_name=rx.cond(JobState.creates, "job-columns", ""),
        ),
        class_name="stack",
    )


def _head() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            job_state(JobState.dot, rx.el.strong(JobState.word), role="status"),
            elapsed(JobState.seconds, JobState.ticking, text.ELAPSED),
            rx.el.span(_guest(), f" {text.ON_NODE} ", mono(JobState.node), class_name="job-subject"),
            rx.cond(JobState.creates, rx.el.span(_template(), class_name="soft")),
            rx.el.span(f"{text.BY_USER} ", mono(JobState.userid), " ", ago(JobState.created_at), class_name="soft"),
            rx.cond(JobState.batch_href != "", link(text.BATCH_OF_JOB, JobState.batch_href)),
            rx.cond((JobState.state == "queued") & (JobState.waiting != ""), rx.el.span(JobState.waiting)),
            class_name="job-facts",
        ),
        rx.cond(JobState.is_open & (JobState.creates | (JobState.percent > 0)), progress_bar(JobState.percent)),
    )


def _guest() -> rx.Component:
    """A link to the guest's row in the list of containers. A job without a guest shows its subject."""
    name = rx.cond(JobState.vmid > 0, rx.fragment("CT ", mono(JobState.vmid)), mono(JobState.name))
    return rx.cond(JobState.guest_href != "", link(name, JobState.guest_href), name)


def _template() -> rx.Component:
    return rx.cond(
        JobState.template != "", rx.fragment(f"{text.FROM_TEMPLATE} ", JobState.template), text.WITHOUT_TEMPLATE
    )


def _phase(phase: rx.Var[PhaseRow]) -> rx.Component:
    return rx.el.li(
        _step_line(
            phase, rx.fragment(phase.title, rx.cond(phase.note != "", rx.el.span(phase.note, class_name="soft")))
        ),
        rx.cond(
            phase.steps.length() > 0,
            rx.el.ol(
                rx.foreach(phase.steps, lambda step: rx.el.li(_step_line(step, step.title))), class_name="substeps"
            ),
        ),
        class_name="phase",
    )


def _step_line(step: rx.Var[StepRow], title: rx.Component | rx.Var[str]) -> rx.Component:
    content = (
        _mark(step),
        rx.el.span(title, class_name="step-title"),
        elapsed(step.seconds, step.ticking),
    )
    return rx.cond(
        step.seq > 0,
        rx.el.button(
            *content,
            type="button",
            class_name="step " + step.mark.to(str),
            title=text.SHOW_IN_LOG,
            custom_attrs={"data-log-seq": step.seq},
        ),
        rx.el.div(*content, class_name="step " + step.mark.to(str)),
    )


def _mark(step: rx.Var[StepRow]) -> rx.Component:
    """A shape for each state, with its word for screen readers."""
    shape = rx.match(
        step.mark,
        ("done", rx.el.span(icon("check", 14), class_name="mark good")),
        ("warned", rx.el.span(icon("triangle-alert", 14), class_name="mark warm")),
        ("active", rx.el.span(rx.el.span(class_name="dot changing"), class_name="mark")),
        ("failed", rx.el.span(rx.el.span(class_name="dot error"), class_name="mark")),
        ("stopped", rx.el.span(icon("square", 12), class_name="mark")),
        ("waiting", rx.el.span(rx.el.span(class_name="dot unknown"), class_name="mark")),
        rx.el.span(rx.el.span(class_name="dot stopped"), class_name="mark faint"),
    )
    return rx.el.span(shape, rx.el.span(step.word, class_name="unseen"), title=step.word)
