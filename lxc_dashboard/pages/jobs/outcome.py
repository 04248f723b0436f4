"""The result of a job, or what it waits for, and what the user can do."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import panel
from lxc_dashboard.components.controls import button, code_block, link_button, mono, native_link
from lxc_dashboard.components.job_parts import credentials
from lxc_dashboard.components.widgets import confirm_button, copy_button
from lxc_dashboard.state.jobs.job import JobState


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
