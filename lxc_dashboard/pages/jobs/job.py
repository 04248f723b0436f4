"""The page of one job: facts, its result or cause of waiting, choices, the steps of a creation, and the live log.

``job_log.js`` draws the log.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel
from lxc_dashboard.components.controls import button, code_block, icon, link, link_button, mono, native_link
from lxc_dashboard.components.job_parts import credentials, elapsed, job_state, progress_bar
from lxc_dashboard.components.scripts import NoArgs, script
from lxc_dashboard.components.widgets import ago, confirm_button, copy_button
from lxc_dashboard.db.models import Phase
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.jobs.job import JobState, PhaseRow, StepRow


def outcome() -> rx.Component:
    return rx.match(
        JobState.state,
        ("done", rx.cond(JobState.creates, _ready(), _done())),
        ("failed", _failed()),
        ("cancelled", _failed()),
        ("waiting", _waiting()),
        ("paused", _paused()),
        rx.fragment(),
    )


def _ready() -> rx.Component:
    result = JobState.result
    return panel(
        named(text.JOB_READY_TITLE),
        rx.el.dl(
            _fact(
                text.ADDRESS,
                rx.cond(
                    result.address != "",
                    rx.fragment(mono(result.address), copy_button(result.address)),
                    rx.el.span(text.NO_ADDRESS, class_name="soft"),
                ),
            ),
            rx.cond(result.links.length() > 0, _fact(text.LINKS, rx.foreach(result.links, _outward))),
            rx.cond(result.ports != "", _fact(text.LISTENS_ON, mono(result.ports))),
            rx.cond(
                result.credentials.length() > 0,
                _fact(text.CREDENTIALS, credentials(JobState.log_base, result.credentials)),
            ),
            class_name="facts",
        ),
        actions=rx.el.div(
            link_button(text.OPEN_IN_LIST, routes.CONTAINERS, kind="primary"),
            _console(),
            link_button(text.CREATE_ANOTHER, routes.CREATE),
            class_name="row",
        ),
    )


def _done() -> rx.Component:
    return panel(
        JobState.message,
        actions=rx.cond(JobState.guest_href != "", link_button(text.OPEN_IN_LIST, JobState.guest_href)),
    )


def _console() -> rx.Component:
    return rx.cond(JobState.console_href != "", link_button(text.OPEN_CONSOLE, JobState.console_href))


def _fact(name: str, *value: rx.Component) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(*value), class_name="fact")


def _outward(address: rx.Var[str]) -> rx.Component:
    return native_link(address, href=address, target="_blank", rel="noreferrer", class_name="mono outward")


def _failed() -> rx.Component:
    failure = JobState.failure
    return rx.el.section(
        rx.el.div(
            rx.el.h2(failure.title, class_name="panel-title"),
            rx.el.p(failure.cause, class_name="failure-cause"),
            rx.cond(
                failure.remedy != "",
                rx.el.p(rx.el.strong(f"{text.REMEDY}: "), failure.remedy, class_name="failure-remedy"),
            ),
            role="alert",
        ),
        rx.cond(
            failure.tail != "",
            _last_lines(),
        ),
        rx.cond(
            JobState.busy != "",
            rx.el.p(JobState.busy, role="status"),
            rx.fragment(
                rx.cond(JobState.kept, _kept(), _choices()),
                rx.cond(JobState.barred != "", rx.el.p(JobState.barred, class_name="soft")),
            ),
        ),
        class_name=rx.cond(JobState.state == "failed", "panel failure", "panel"),
    )


def _last_lines() -> rx.Component:
    failure = JobState.failure
    return rx.el.div(
        rx.el.div(
            rx.el.h3(text.LAST_LINES, class_name="last-lines grow"),
            rx.cond(
                failure.seq > 0,
                rx.el.button(
                    text.SHOW_LAST_LINES,
                    type="button",
                    class_name="button quiet small",
                    custom_attrs={"data-log-seq": failure.seq},
                ),
            ),
            class_name="row",
        ),
        code_block(failure.tail, label=text.LAST_LINES),
    )


def _kept() -> rx.Component:
    return rx.el.div(
        rx.el.span(named(text.KEPT), role="status"),
        link_button(text.OPEN_IN_LIST, routes.CONTAINERS),
        button(text.OTHER_CHOICES, kind="quiet", on_click=JobState.keep(False)),
        class_name="row",
    )


def _choices() -> rx.Component:
    return rx.el.div(
        rx.cond(
            JobState.may_retry,
            button(
                JobState.retry_label,
                kind="primary",
                on_click=JobState.retry,
                disabled=JobState.barred != "",
                title=JobState.barred,
            ),
        ),
        rx.cond(
            JobState.edit_href != "",
            link_button(rx.cond(JobState.lost, text.CREATE_AGAIN, text.EDIT_AND_RETRY), JobState.edit_href),
        ),
        rx.cond(JobState.may_keep, button(text.KEEP, on_click=JobState.keep(True))),
        rx.cond(JobState.lost, rx.el.span(text.JOB_GONE, class_name="soft")),
        _console(),
        rx.cond(
            JobState.may_destroy,
            confirm_button(
                text.DESTROY,
                title=named(text.DESTROY_TITLE),
                consequence=named(text.DESTROY_CONSEQUENCE),
                verb=named(text.DESTROY_TITLE.rstrip("?")),
                ask=named(text.DESTROY_ASK),
                expected=JobState.vmid,
                on_confirm=JobState.destroy,
            ),
        ),
        class_name="row",
    )


def _waiting() -> rx.Component:
    return rx.el.section(
        rx.el.p(JobState.waiting),
        rx.cond(
            JobState.waiting_own,
            rx.el.div(
                native_link(text.SIGN_IN_AGAIN, href=JobState.sign_in_href, class_name="button primary"),
                class_name="row",
            ),
        ),
        class_name="panel waiting-note stack-small",
        role="status",
    )


def _paused() -> rx.Component:
    return rx.el.section(
        rx.el.p(JobState.waiting),
        rx.cond(
            JobState.may_go_on,
            rx.el.div(button(text.GO_ON, kind="primary", on_click=JobState.go_on), class_name="row"),
        ),
        class_name="panel waiting-note stack-small",
        role="status",
    )


def named(sentence: str) -> rx.Var[str]:
    """A text of the catalogue, with its fields filled from ``JobState`` in the browser."""
    filled: Any = rx.Var.create("")
    rest = sentence
    while rest:
        before, opening, after = rest.partition("{")
        filled = filled + before if before else filled
        name, _, rest = after.partition("}") if opening else ("", "", "")
        filled = filled + getattr(JobState, name).to_string(use_json=False) if name else filled
    return filled


# ``job_log.js`` imports these scripts.
for _name in ("job_lines.js", "job_stream.js"):
    script(__name__, _name)
_JOB_LOG = script(__name__, "job_log.js")


class JobLog(rx.Component):
    """Reads the lines under ``base`` by number and follows its stream. Calls ``on_change`` on changes other than lines.

    ``phases``: the phases of a creation, in order; empty for other jobs. A click on an element with ``data-log-seq``
    shows the line with that number.
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
    """A link to the guest's row in the list of containers. The subject for a job without a guest."""
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
