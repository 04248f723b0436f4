"""The steps Template, Packages, Scripts and Review."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note, panel, table
from lxc_dashboard.components.controls import badge, button, code_block, mono
from lxc_dashboard.components.widgets import ago, copy_button
from lxc_dashboard.pages.creation.fields import key_of, step_error
from lxc_dashboard.state.creation.form import ExtraRow, FindingRow, PackageRow, ScriptRow
from lxc_dashboard.state.creation.page import EXTRA_MANAGERS, SelectionState
from lxc_dashboard.state.creation.review import PlannedRow, ReviewState
from lxc_dashboard.state.creation.summary import Line
from lxc_dashboard.state.creation.wizard import WizardState
from lxc_dashboard.state.templates.template_list import TemplateRow

ADD_ID = "add-extra"
# ``guide.js`` uses it, too.
FIND_ID = "find-template"
# The filter appears for more templates than this.
UNFILTERED_MAX = 6


def template_step() -> rx.Component:
    return rx.el.div(
        rx.cond(
            WizardState.templates.length() > UNFILTERED_MAX,
            rx.el.input(
                id=FIND_ID,
                type="search",
                class_name="input filter",
                aria_label=text.FIND_TEMPLATE,
                placeholder=text.FIND_TEMPLATE,
                auto_complete="off",
            ),
        ),
        rx.el.div(
            _template_card("", text.NO_TEMPLATE, text.NO_TEMPLATE_HINT, ""),
            rx.foreach(WizardState.templates, _template_row),
            class_name="template-cards",
            role="radiogroup",
            aria_label=text.TEMPLATE,
        ),
        rx.el.p(text.NO_TEMPLATE_MATCHES, id=f"{FIND_ID}-none", class_name="soft", role="status", hidden=True),
        step_error("revision_id"),
        class_name="stack-small",
    )


def _template_row(row: rx.Var[TemplateRow]) -> rx.Component:
    trouble = rx.cond(row.trouble != "", badge(row.trouble, tone="warm"))
    known_os = rx.cond(row.os != "", badge(row.os))
    return _template_card(row.id, row.name, row.description, row.holds, known_os, badge(row.revision), trouble)


def _template_card(template_id: Any, name: Any, description: Any, holds: Any, *marks: rx.Component) -> rx.Component:
    chosen = WizardState.template_id == template_id
    return rx.el.label(
        rx.el.input(
            type="radio",
            name="template_choice",
            checked=chosen,
            on_change=lambda _value: SelectionState.choose(template_id),
        ),
        rx.el.span(name, class_name="template-name"),
        *([rx.el.span(*marks, class_name="row")] if marks else []),
        rx.el.span(description, class_name="soft"),
        rx.el.span(holds, class_name="soft"),
        class_name=rx.cond(chosen, "template-card current", "template-card"),
    )


def packages_step() -> rx.Component:
    return rx.el.div(
        panel(text.PACKAGES_OF_TEMPLATE, package_list()),
        panel(text.EXTRA_PACKAGES, extra_packages()),
        class_name="stack",
    )


def package_list() -> rx.Component:
    return rx.cond(
        WizardState.packages.length() > 0,
        rx.el.ul(rx.foreach(WizardState.packages, _package), class_name="checks"),
        rx.el.p(text.NO_PACKAGES, class_name="soft"),
    )


def _package(row: rx.Var[PackageRow]) -> rx.Component:
    return rx.el.li(
        rx.el.label(
            rx.el.input(type="checkbox", checked=row.on, on_change=lambda _on: SelectionState.toggle_package(row.key)),
            rx.el.span(row.spec, class_name="mono"),
            badge(row.manager),
            rx.el.span(row.bucket, class_name="soft"),
            class_name="check",
        )
    )


def extra_packages() -> rx.Component:
    return rx.el.div(
        rx.cond(
            WizardState.extras.length() > 0,
            rx.el.ul(rx.foreach(WizardState.extras, _extra), class_name="checks"),
        ),
        rx.el.div(
            rx.el.select(
                *(rx.el.option(manager, value=manager) for manager in EXTRA_MANAGERS),
                class_name="select",
                aria_label=text.MANAGER,
                value=SelectionState.extra_manager,
                on_change=SelectionState.choose_extra_manager,
            ),
            _extra_spec(),
            button(text.ADD, on_click=SelectionState.add_extra, id=ADD_ID, custom_attrs={"data-takes": "extra-spec"}),
            class_name="add-row",
        ),
        step_error("packages_extra"),
        class_name="stack-small",
    )


def _extra_spec() -> rx.Component:
    return rx.el.input(
        id="extra-spec",
        class_name="input mono",
        aria_label=text.PACKAGE,
        placeholder=text.PACKAGE,
        name="extra_spec",
        key=key_of("extra_spec"),
        default_value=WizardState.extra_spec,
        auto_complete="off",
        on_blur=SelectionState.write_extra,
        aria_invalid=WizardState.errors.contains("packages_extra"),
        aria_describedby="packages_extra-error",
        custom_attrs={"data-enter": ADD_ID},
    )


def _extra(row: rx.Var[ExtraRow]) -> rx.Component:
    return rx.el.li(
        rx.el.span(row.spec, class_name="mono"),
        badge(row.manager),
        button(
            text.REMOVE,
            kind="quiet",
            small=True,
            aria_label=text.REMOVE + " " + row.spec,
            on_click=SelectionState.remove_extra(row.manager, row.spec),
        ),
        class_name="row",
    )


def scripts_step() -> rx.Component:
    return rx.el.div(
        rx.el.p(text.SCRIPTS_LEAD, class_name="soft"),
        script_list(),
        step_error("scripts"),
        class_name="stack",
    )


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
    """A button that stays enabled at the end of the list, so that it keeps the focus."""
    return button(
        sign,
        small=True,
        kind="quiet",
        aria_label=verb + " " + row.name,
        aria_disabled=rx.cond(is_end, "true", "false"),
        on_click=SelectionState.move_script(row.name, by),
    )


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
