"""The wizard's mount points: a row each, of a storage's volume or of a folder of the node."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import button, field
from lxc_dashboard.pages.creation.fields import option, reset, stand_in, step_error
from lxc_dashboard.state.creation.configure import MountsState
from lxc_dashboard.state.creation.mount_rows import FIELD, NODE_FOLDER, ShownMount
from lxc_dashboard.state.creation.offer import OfferState
from lxc_dashboard.state.creation.wizard import WizardState


def mount_list() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(text.FIELD_LABELS[FIELD], class_name="fields-title"),
        rx.el.div(
            rx.el.p(text.MOUNTS_LEAD, class_name="field-hint"),
            rx.cond(
                MountsState.mounts.length() > 0,
                rx.el.div(
                    rx.foreach(MountsState.mounts, _mount),
                    class_name="stack-small",
                    key="mounts-" + WizardState.versions[FIELD].to(str),
                ),
            ),
            step_error(FIELD),
            rx.el.div(
                button(text.MOUNT_ADD, small=True, on_click=MountsState.add_mount), reset(FIELD), class_name="row"
            ),
            class_name="stack-small",
        ),
    )


def _mount(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    before, _, after = text.MOUNT.partition("{number}")
    title = before + row.number.to_string() + after
    return rx.el.div(
        rx.el.div(
            rx.cond(OfferState.storages.length() > 0, _chosen_source(row, at), _typed_source(row, at)),
            rx.cond(row.is_bind, rx.fragment(), _text(row, at, "size_gib", row.size_gib, kind="number")),
            _text(row, at, "path", row.path),
            class_name="fields",
        ),
        stand_in(row.key + ".source"),
        rx.el.div(
            rx.cond(row.is_bind, rx.fragment(), _flag(row, at, "backup", row.backup)),
            _flag(row, at, "read_only", row.read_only),
            button(
                text.REMOVE,
                kind="quiet",
                small=True,
                aria_label=text.MOUNT_REMOVE + " " + row.number.to_string(),
                on_click=MountsState.remove_mount(at),
            ),
            class_name="row",
        ),
        role="group",
        aria_label=title,
        class_name="mount",
    )


def _chosen_source(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    select = rx.el.select(
        rx.foreach(OfferState.storages, option),
        rx.el.option(text.MOUNT_NODE_FOLDER, value=NODE_FOLDER),
        id=row.key + ".from",
        name=row.key + ".from",
        class_name="select",
        default_value=rx.cond(row.is_bind, NODE_FOLDER, row.source),
        aria_invalid=~row.is_bind & WizardState.errors.contains(row.key + ".source"),
        aria_describedby=row.key + ".source-stand-in",
        on_change=lambda value: MountsState.keep_mount(at, "from", value),
    )
    wrong = rx.cond(row.is_bind, "", _error(row, "source"))
    chosen = field(text.MOUNT_FIELDS["from"], select, error=wrong, field_id=_id(row, "from"))
    return rx.fragment(chosen, rx.cond(row.is_bind, _text(row, at, "source", row.source)))


def _typed_source(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    """Where PVE did not say which storages there are."""
    return _text(row, at, "source", row.source, label=text.MOUNT_FIELDS["from"])


def _text(
    row: rx.Var[ShownMount], at: rx.Var[int], part: str, value: Any, *, kind: str = "text", label: str = ""
) -> rx.Component:
    hint = text.MOUNT_HINTS.get(part, "")
    name = _id(row, part)
    control = rx.el.input(
        id=name,
        name=name,
        type=kind,
        class_name="input num" if kind == "number" else "input mono",
        default_value=value,
        auto_complete="off",
        aria_invalid=WizardState.errors.contains(name),
        aria_describedby=(name + "-hint " if hint else "") + name + "-error",
        on_blur=lambda typed: MountsState.keep_mount(at, part, typed),
    )
    return field(label or text.MOUNT_FIELDS[part], control, hint=hint, error=_error(row, part), field_id=name)


def _flag(row: rx.Var[ShownMount], at: rx.Var[int], part: str, on: Any) -> rx.Component:
    name = _id(row, part)
    return rx.el.label(
        rx.el.input(
            id=name,
            name=name,
            type="checkbox",
            default_checked=on,
            on_change=lambda value: MountsState.keep_mount(at, part, value),
        ),
        text.MOUNT_FIELDS[part],
        class_name="check",
    )


def _id(row: rx.Var[ShownMount], part: str) -> Any:
    return row.key + "." + part


def _error(row: rx.Var[ShownMount], part: str) -> Any:
    return WizardState.errors[_id(row, part)].to(str)
