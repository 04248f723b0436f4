"""The wizard's presets, in a dialog over it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import badge, button, field
from lxc_dashboard.components.widgets import confirm_button, dialog
from lxc_dashboard.services.creation.form.presets import SHARE_PRIVILEGE
from lxc_dashboard.state.create import CreateState
from lxc_dashboard.state.create_presets import PresetRow


def presets_button() -> rx.Component:
    return rx.fragment(
        button(text.PRESETS, on_click=CreateState.open_presets),
        dialog(
            _new(),
            rx.cond(
                CreateState.presets.length() > 0,
                rx.el.ul(rx.foreach(CreateState.presets, _row), class_name="presets"),
                rx.el.p(text.NO_PRESETS, class_name="soft"),
            ),
            rx.el.div(button(text.CLOSE, on_click=CreateState.close_presets), class_name="dialog-actions"),
            is_open=CreateState.presets_open,
            title=text.PRESETS,
            on_close=CreateState.close_presets,
        ),
    )


def _new() -> rx.Component:
    """A new one, of what is chosen in the wizard. Saved, its inputs are empty again."""
    return rx.el.form(
        rx.el.p(text.PRESETS_LEAD, class_name="soft"),
        field(
            text.PRESET_NAME,
            _name_input("preset_name", CreateState.preset_error),
            error=CreateState.preset_error,
            field_id="preset_name",
        ),
        rx.el.label(
            rx.el.input(type="checkbox", name="preset_shared", disabled=CreateState.may_share != "yes"),
            text.PRESET_SHARE,
            class_name="check",
        ),
        rx.cond(
            CreateState.may_share == "no",
            rx.el.span(text.PRESET_SHARE_NEEDS.format(privilege=SHARE_PRIVILEGE), class_name="field-hint"),
        ),
        rx.el.div(button(text.PRESET_SAVE, kind="primary", type="submit"), class_name="row"),
        on_submit=CreateState.save_preset,
        class_name="stack-small",
        key="new-preset-" + CreateState.preset_saves.to_string(),
        no_validate=True,
    )


def _name_input(name: str, error: Any, **props: Any) -> rx.Component:
    return rx.el.input(
        id=name,
        name=name,
        class_name="input",
        auto_complete="off",
        aria_invalid=error != "",
        aria_describedby=f"{name}-error",
        **props,
    )


def _row(row: rx.Var[PresetRow]) -> rx.Component:
    return rx.el.li(
        rx.cond(CreateState.renamed == row.id, _renaming(row), _shown(row)),
        class_name="preset",
        custom_attrs={"data-preset": row.name},
    )


def _shown(row: rx.Var[PresetRow]) -> rx.Component:
    return rx.fragment(
        rx.el.span(
            rx.el.strong(row.name),
            " ",
            badge(row.about),
            rx.cond(row.right != "", rx.el.span(" ", row.right, class_name="soft")),
            class_name="preset-name",
        ),
        rx.el.span(
            _small(text.PRESET_USE, row, CreateState.use_preset(row.id)),
            rx.cond(row.mine, rx.fragment(*_own(row))),
            class_name="row",
        ),
    )


def _own(row: rx.Var[PresetRow]) -> list[rx.Component]:
    return [
        _small(text.PRESET_RENAME, row, CreateState.begin_rename(row.id)),
        rx.cond(
            row.shared,
            _small(text.PRESET_UNSHARE, row, CreateState.share_preset(row.id, False)),
            rx.cond(
                CreateState.may_share == "yes",
                _small(text.PRESET_SHARE_ONE, row, CreateState.share_preset(row.id, True)),
            ),
        ),
        confirm_button(
            text.PRESET_OVERWRITE,
            title=_named(text.PRESET_OVERWRITE_TITLE, row),
            consequence=text.PRESET_OVERWRITE_LOSS,
            verb=text.PRESET_OVERWRITE,
            kind="quiet small",
            on_confirm=CreateState.overwrite_preset(row.id),
        ),
        confirm_button(
            text.PRESET_DELETE,
            title=_named(text.PRESET_DELETE_TITLE, row),
            consequence=text.PRESET_DELETE_LOSS,
            verb=text.PRESET_DELETE,
            kind="danger small",
            on_confirm=CreateState.delete_preset(row.id),
        ),
    ]


def _small(verb: str, row: rx.Var[PresetRow], on_click: Any) -> rx.Component:
    return button(verb, small=True, kind="quiet", aria_label=verb + " " + row.name, on_click=on_click)


def _named(sentence: str, row: rx.Var[PresetRow]) -> Any:
    before, _, after = sentence.partition("{name}")
    return before + row.name + after


def _renaming(row: rx.Var[PresetRow]) -> rx.Component:
    return rx.el.form(
        field(
            text.PRESET_NAME,
            _name_input("new_name", CreateState.rename_error, default_value=row.name, auto_focus=True),
            error=CreateState.rename_error,
            field_id="new_name",
        ),
        rx.el.div(
            button(text.PRESET_RENAME, small=True, type="submit"),
            button(text.CANCEL, small=True, kind="quiet", on_click=CreateState.end_rename),
            class_name="row",
        ),
        on_submit=CreateState.rename_preset,
        class_name="stack-small",
        no_validate=True,
    )
