"""The step Review: preflight, the containers of a batch, the choices, and commands."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note, panel, table
from lxc_dashboard.components.controls import button, code_block, mono
from lxc_dashboard.components.widgets import ago, copy_button
from lxc_dashboard.state.creation.form import FindingRow
from lxc_dashboard.state.creation.review import PlannedRow, ReviewState
from lxc_dashboard.state.creation.summary import Line
from lxc_dashboard.state.creation.wizard import WizardState


def review_step() -> rx.Component:
    again = button(text.CHECK_AGAIN, small=True, on_click=ReviewState.check_now, disabled=ReviewState.checking)
    return rx.el.div(
        panel(text.PREFLIGHT, findings(), actions=rx.el.div(checked_at(), again, class_name="row")),
        planned(),
        panel(text.REVIEW, review_list()),
        as_commands(),
        class_name="stack",
    )


def findings() -> rx.Component:
    """Errors and warnings of the preflight, each with remedy and a button to its field. Notes follow."""
    found = rx.el.div(
        rx.cond(
            ReviewState.findings.length() > 0,
            rx.el.div(_findings_of("error", "bad"), _findings_of("warning", "warm"), class_name="stack-small"),
            rx.el.p(
                rx.cond(
                    ReviewState.checking,
                    text.CHECKING,
                    rx.cond(ReviewState.checked, text.NOTHING_FOUND, text.NOT_CHECKED),
                ),
                class_name="soft",
            ),
        ),
        role="status",
        id="findings",
    )
    notes = rx.foreach(ReviewState.notes, lambda row: rx.el.p(row, class_name="soft"))
    return rx.el.div(found, rx.el.div(notes, id="notes"), class_name="stack-small")


def _findings_of(severity: str, tone: str) -> rx.Component:
    """The findings of one severity under a heading. Empty without findings."""
    count = ReviewState.errors_found if severity == "error" else ReviewState.warnings_found
    shown = rx.foreach(ReviewState.findings, lambda row: rx.cond(row.severity == severity, _shown(row, tone, severity)))
    heading = rx.el.h3(text.PREFLIGHT_FINDINGS[severity], " (", count, ")", class_name="findings-title")
    return rx.cond(count > 0, rx.el.section(heading, shown, class_name="stack-small", id=f"findings-{severity}"))


def _shown(row: rx.Var[FindingRow], tone: str, severity: str) -> rx.Component:
    before, _, after = text.GO_TO.partition("{place}")
    there = button(
        rx.fragment(before, row.place, after), small=True, on_click=ReviewState.go_to_field(row.step, row.field)
    )
    remedy = rx.cond(row.remedy != "", rx.fragment(". ", row.remedy))
    words = rx.el.span(rx.el.strong(text.SEVERITY[severity]), ": ", row.cause, remedy)
    return note(rx.el.div(words, rx.cond(row.step != "", there), class_name="finding"), tone=tone)


def checked_at() -> rx.Component:
    """The age of the findings. The page repeats preflight by itself."""
    return rx.cond(
        ReviewState.checked,
        rx.el.span(text.CHECKED, " ", ago(ReviewState.checked_at), class_name="soft", id="checked-at"),
    )


def planned() -> rx.Component:
    head = [text.HOSTNAME, text.FIELD_LABELS["ipv4_mode"], text.FIELD_LABELS["ipv6_mode"]]
    return rx.cond(
        ReviewState.planned.length() > 0,
        panel(
            ReviewState.planned_title,
            rx.el.div(
                table(head, rx.foreach(ReviewState.planned, _row), label=text.SEVERAL_PLANNED), class_name="planned"
            ),
        ),
    )


def _row(row: rx.Var[PlannedRow]) -> rx.Component:
    return rx.el.tr(rx.el.td(mono(row.hostname)), rx.el.td(mono(row.ipv4)), rx.el.td(mono(row.ipv6)), key=row.hostname)


def review_list() -> rx.Component:
    """All choices."""
    return rx.el.dl(rx.foreach(ReviewState.review, _line), class_name="summary wide")


def summary_list() -> rx.Component:
    return rx.el.dl(rx.foreach(WizardState.summary, _line), class_name="summary")


def _line(line: rx.Var[Line]) -> rx.Component:
    return rx.el.div(rx.el.dt(line.label), rx.el.dd(line.value))


def as_commands() -> rx.Component:
    """The commands. Hidden while a field is invalid or no vmid is known."""
    return rx.cond(
        ReviewState.pct_command != "",
        panel(
            text.AS_COMMAND,
            rx.el.div(
                rx.el.p(text.AS_COMMAND_LEAD, class_name="soft"),
                _command(text.AS_PCT, ReviewState.pct_command, "as-pct"),
                _command(text.AS_API, ReviewState.api_command, "as-api"),
                class_name="stack-small",
            ),
        ),
    )


def _command(title: str, command: Any, command_id: str) -> rx.Component:
    return rx.el.details(
        rx.el.summary(title),
        rx.el.div(
            rx.el.div(copy_button(command, text.COPY_COMMAND), class_name="row"),
            code_block(command, label=title),
            class_name="stack-small",
            id=command_id,
        ),
    )
