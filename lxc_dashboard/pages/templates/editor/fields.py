"""The editor's inputs, named by their field's path. When the server sets a text, its input is rebuilt."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import field
from lxc_dashboard.components.widgets import confirm_button
from lxc_dashboard.state.templates.editor.page import EditorState


def common(path: Any) -> dict[str, Any]:
    """Attributes of each input of the field ``path``, with the ids of its hint and error."""
    return {
        "id": path,
        "key": f"{path}-{EditorState.epoch}-" + EditorState.versions[path].to(str),
        "aria_invalid": EditorState.errors.contains(path),
        "aria_describedby": f"{path}-hint {path}-error",
        "custom_attrs": {"data-field": path},
    }


def labelled(path: Any, words: tuple[str, str], control: rx.Component) -> rx.Component:
    label, hint = words
    return field(label, control, hint=hint, error=error_of(path), field_id=path)


def error_of(path: Any) -> Any:
    return EditorState.errors[path].to(str)


def text_field(path: Any, value: Any, words: tuple[str, str], *, kind: str = "text", **props: Any) -> rx.Component:
    control = rx.el.input(
        **common(path),
        type=kind,
        default_value=value,
        auto_complete="off",
        class_name="input num" if kind == "number" else "input mono",
        **props,
    )
    return labelled(path, words, control)


def area_field(path: Any, value: Any, words: tuple[str, str], rows: int = 3) -> rx.Component:
    control = rx.el.textarea(**common(path), rows=str(rows), default_value=value, class_name="textarea mono")
    return labelled(path, words, control)


def select_field(path: Any, value: Any, words: tuple[str, str], options: dict[str, str]) -> rx.Component:
    control = rx.el.select(
        *(rx.el.option(label, value=key) for key, label in options.items()),
        **common(path),
        default_value=value,
        class_name="select",
    )
    return labelled(path, words, control)


def flag_field(path: Any, checked: Any, words: tuple[str, str]) -> rx.Component:
    label, hint = words
    return rx.el.div(
        rx.el.label(rx.el.input(**common(path), type="checkbox", default_checked=checked), label, class_name="check"),
        rx.el.span(hint, class_name="field-hint", id=f"{path}-hint"),
        rx.el.span(error_of(path), class_name="field-error", role="alert", id=f"{path}-error"),
        class_name="field",
    )


def fault_mark(count: Any) -> rx.Component:
    """A sign that an entry is invalid."""
    return rx.cond(count > 0, rx.el.span("!", class_name="badge bad", title=text.SAVE_OTHER_FAULTS))


def remove_button(label: str, name: Any, event: Any) -> rx.Component:
    """Removes a script or file from the draft after a confirmation."""
    before, _, after = text.SCRIPT_REMOVE_TITLE.partition("{name}")
    confirm = confirm_button(
        label,
        title=f"{before}{name}{after}",
        consequence=text.SCRIPT_REMOVE_CONSEQUENCE,
        verb=label,
        on_confirm=event,
    )
    return rx.el.div(confirm)
