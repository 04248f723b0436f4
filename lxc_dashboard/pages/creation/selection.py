"""The steps Template, Packages and Scripts."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import panel
from lxc_dashboard.components.controls import badge, button, code_block
from lxc_dashboard.pages.creation.fields import key_of, step_error
from lxc_dashboard.state.creation.form import ExtraRow, PackageRow, ScriptRow
from lxc_dashboard.state.creation.page import EXTRA_MANAGERS, SelectionState
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
