"""Several containers at once: the pattern in the step configure, and the table of what would be made in the review."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import panel, table
from lxc_dashboard.components.controls import mono
from lxc_dashboard.pages.creation import fields as part
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.creation.several import PlannedRow
from lxc_dashboard.state.creation.wizard import WizardState

IS_SEVERAL: Any = (WizardState.form["hostname_pattern"] != "") & (WizardState.edits == "")


def several_block() -> rx.Component:
    """Not where a job is edited: that is one container."""
    return rx.cond(
        WizardState.edits == "",
        rx.el.fieldset(
            rx.el.legend(text.SEVERAL, class_name="fields-title"),
            rx.el.p(text.SEVERAL_LEAD, class_name="soft fields-lead"),
            rx.el.div(part.text_field("hostname_pattern", placeholder="web-{01..20}"), class_name="fields"),
        ),
    )


def one_only(control: rx.Component) -> rx.Component:
    """A field that says something of one container alone."""
    return rx.el.div(control, hidden=IS_SEVERAL)


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
