"""What the wizard shows beside its fields: scripts in their order, the summary, the review and what preflight found."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import button, code_block
from lxc_dashboard.components.widgets import ago
from lxc_dashboard.state.creation.form import FindingRow, ScriptRow
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.creation.selection import SelectionState
from lxc_dashboard.state.creation.summary import Line
from lxc_dashboard.state.creation.wizard import WizardState


def script_list() -> rx.Component:
    return rx.cond(
        WizardState.scripts.length() > 0,
        rx.el.ol(rx.foreach(WizardState.scripts, _script), class_name="scripts"),
        rx.el.p(text.NO_SCRIPTS, class_name="soft"),
    )


def _script(row: rx.Var[ScriptRow], place: rx.Var[int]) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.label(
                rx.el.input(
                    type="checkbox", checked=row.on, on_change=lambda _on: SelectionState.toggle_script(row.name)
                ),
                rx.el.span(row.name, class_name="mono"),
                class_name="check",
            ),
            rx.el.span(row.description, class_name="soft script-about"),
            _move_button("↑", text.MOVE_UP, row, -1, is_end=place == 0),
            _move_button("↓", text.MOVE_DOWN, row, 1, is_end=place == WizardState.scripts.length() - 1),
            class_name="script-head",
        ),
        rx.el.details(rx.el.summary(text.SHOW_SCRIPT), code_block(row.content, label=row.name)),
        class_name=rx.cond(row.on, "script", "script off"),
    )


def _move_button(sign: str, verb: str, row: Any, by: int, *, is_end: Any) -> rx.Component:
    """At the end of the list it does nothing, and keeps the focus."""
    return button(
        sign,
        small=True,
        kind="quiet",
        aria_label=verb + " " + row.name,
        aria_disabled=rx.cond(is_end, "true", "false"),
        on_click=SelectionState.move_script(row.name, by),
    )


def summary_list() -> rx.Component:
    return rx.el.dl(rx.foreach(WizardState.summary, _line), class_name="summary")


def review_list() -> rx.Component:
    """Everything that was chosen."""
    return rx.el.dl(rx.foreach(ReviewState.review, _line), class_name="summary wide")


def _line(line: rx.Var[Line]) -> rx.Component:
    return rx.el.div(rx.el.dt(line.label), rx.el.dd(line.value))


def findings() -> rx.Component:
    """What preflight found: errors and warnings apart, each with its remedy and the way to its field; below, how it will be done."""
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
    notes = rx.foreach(ReviewState.notes, lambda told: rx.el.p(told, class_name="soft"))
    return rx.el.div(found, rx.el.div(notes, id="notes"), class_name="stack-small")


def _findings_of(severity: str, tone: str) -> rx.Component:
    """A list with its heading, or nothing where there is none of this severity."""
    count = ReviewState.errors_found if severity == "error" else ReviewState.warnings_found
    shown = rx.foreach(ReviewState.findings, lambda row: rx.cond(row.severity == severity, _shown(row, tone, severity)))
    heading = rx.el.h3(text.PREFLIGHT_FINDINGS[severity], " (", count, ")", class_name="findings-title")
    return rx.cond(count > 0, rx.el.section(heading, shown, class_name="stack-small", id=f"findings-{severity}"))


def checked_at() -> rx.Component:
    """How old the findings are: they are looked at again by themselves."""
    return rx.cond(
        ReviewState.checked,
        rx.el.span(text.CHECKED, " ", ago(ReviewState.checked_at), class_name="soft", id="checked-at"),
    )


def _shown(row: rx.Var[FindingRow], tone: str, severity: str) -> rx.Component:
    before, _, after = text.GO_TO.partition("{place}")
    there = button(rx.fragment(before, row.place, after), small=True, on_click=ReviewState.mend(row.step, row.field))
    remedy = rx.cond(row.remedy != "", rx.fragment(". ", row.remedy))
    told = rx.el.span(rx.el.strong(text.SEVERITY[severity]), ": ", row.cause, remedy)
    return note(rx.el.div(told, rx.cond(row.step != "", there), class_name="finding"), tone=tone)
