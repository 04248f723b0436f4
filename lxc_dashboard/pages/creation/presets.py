"""The dialog of presets, and the dialog to confirm that a shared preset or a link fills the form."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import badge, button, field
from lxc_dashboard.components.widgets import ago, confirm_button, dialog
from lxc_dashboard.services.creation.form.presets import SHARE_PRIVILEGE
from lxc_dashboard.state.creation.presets import PresetRow, PresetsState, ProposalState
from lxc_dashboard.state.creation.summary import Change


def presets_button() -> rx.Component:
    return rx.fragment(
        button(text.PRESETS, on_click=PresetsState.open_presets),
        dialog(
            _new(),
            rx.cond(
                PresetsState.presets.length() > 0,
                rx.el.ul(rx.foreach(PresetsState.presets, _row), class_name="presets"),
                rx.el.p(text.NO_PRESETS, class_name="soft"),
            ),
            rx.el.div(button(text.CLOSE, on_click=PresetsState.close_presets), class_name="dialog-actions"),
            is_open=PresetsState.presets_open,
            title=text.PRESETS,
            on_close=PresetsState.close_presets,
        ),
    )


def _new() -> rx.Component:
    """A form that saves the choices as a new preset. A save empties it."""
    return rx.el.form(
        rx.el.p(text.PRESETS_LEAD, class_name="soft"),
        field(
            text.PRESET_NAME,
            _name_input("preset_name", PresetsState.preset_error),
            error=PresetsState.preset_error,
            field_id="preset_name",
        ),
        rx.el.label(
            rx.el.input(type="checkbox", name="preset_shared", disabled=PresetsState.may_share != "yes"),
            text.PRESET_SHARE,
            class_name="check",
        ),
        rx.cond(
            PresetsState.may_share == "no",
            rx.el.span(text.PRESET_SHARE_NEEDS.format(privilege=SHARE_PRIVILEGE), class_name="field-hint"),
        ),
        rx.el.div(button(text.PRESET_SAVE, kind="primary", type="submit"), class_name="row"),
        on_submit=PresetsState.save_preset,
        class_name="stack-small",
        key="new-preset-" + PresetsState.preset_saves.to_string(),
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
        rx.cond(PresetsState.renamed == row.id, _renaming(row), _shown(row)),
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
            _small(text.PRESET_USE, row, PresetsState.use_preset(row.id)),
            rx.cond(row.mine, rx.fragment(*_own(row))),
            class_name="row",
        ),
    )


def _own(row: rx.Var[PresetRow]) -> list[rx.Component]:
    return [
        _small(text.PRESET_RENAME, row, PresetsState.begin_rename(row.id)),
        rx.cond(
            row.shared,
            _small(text.PRESET_UNSHARE, row, PresetsState.share_preset(row.id, False)),
            rx.cond(
                PresetsState.may_share == "yes",
                _small(text.PRESET_SHARE_ONE, row, PresetsState.share_preset(row.id, True)),
            ),
        ),
        confirm_button(
            text.PRESET_OVERWRITE,
            title=_named(text.PRESET_OVERWRITE_TITLE, row),
            consequence=text.PRESET_OVERWRITE_LOSS,
            verb=text.PRESET_OVERWRITE,
            kind="quiet small",
            on_confirm=PresetsState.overwrite_preset(row.id),
        ),
        confirm_button(
            text.PRESET_DELETE,
            title=_named(text.PRESET_DELETE_TITLE, row),
            consequence=text.PRESET_DELETE_LOSS,
            verb=text.PRESET_DELETE,
            kind="danger small",
            on_confirm=PresetsState.delete_preset(row.id),
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
            _name_input("new_name", PresetsState.rename_error, default_value=row.name, auto_focus=True),
            error=PresetsState.rename_error,
            field_id="new_name",
        ),
        rx.el.div(
            button(text.PRESET_RENAME, small=True, type="submit"),
            button(text.CANCEL, small=True, kind="quiet", on_click=PresetsState.end_rename),
            class_name="row",
        ),
        on_submit=PresetsState.rename_preset,
        class_name="stack-small",
        no_validate=True,
    )


def proposal() -> rx.Component:
    asked_at = rx.cond(ProposalState.proposal_at != "", rx.fragment(" (", ago(ProposalState.proposal_at), ")."))
    is_preset = ProposalState.proposal_at != ""
    return dialog(
        rx.el.p(ProposalState.proposal_about, asked_at, class_name="soft dialog-text"),
        rx.cond(
            ProposalState.proposed.length() > 0,
            rx.el.section(
                rx.el.h3(text.PROPOSED_CHANGES, class_name="findings-title"),
                rx.foreach(ProposalState.proposed, _risky),
                rx.el.dl(rx.foreach(ProposalState.proposed, _plain), class_name="summary"),
                class_name="proposed stack-small",
                tab_index=0,
                role="region",
                aria_label=text.PROPOSED_CHANGES,
            ),
            rx.el.p(text.PROPOSED_NOTHING, class_name="proposed"),
        ),
        rx.el.div(
            button(text.CANCEL, on_click=ProposalState.decline_proposal),
            button(
                rx.cond(is_preset, text.PROPOSED_USE, text.PROPOSED_USE_LINK),
                kind="primary",
                on_click=ProposalState.accept_proposal,
            ),
            class_name="dialog-actions",
        ),
        is_open=ProposalState.proposal != "",
        title=ProposalState.proposal,
        on_close=ProposalState.decline_proposal,
    )


def _risky(change: rx.Var[Change]) -> rx.Component:
    words = rx.el.div(rx.el.strong(change.label), rx.el.div(change.value, class_name="proposed-value mono"))
    return rx.cond(change.risky, note(words, tone="warm"))


def _plain(change: rx.Var[Change]) -> Any:
    line = rx.el.div(rx.el.dt(change.label), rx.el.dd(change.value, class_name="proposed-value"))
    return rx.cond(change.risky, rx.fragment(), line)
