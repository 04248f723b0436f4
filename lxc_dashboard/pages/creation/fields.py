"""The wizard's inputs. All are in one form and keep their text when another step is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import button, field
from lxc_dashboard.services.creation.form.fields import BY_NAME
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.state.creation.configure import AddressesState, FieldsState
from lxc_dashboard.state.creation.summary import Option
from lxc_dashboard.state.creation.wizard import WizardState

# A template's choice in these fields may not exist on the node.
WISHED = frozenset({"ostemplate", "storage", "bridge"})
IS_SEVERAL: Any = (WizardState.form["hostname_pattern"] != "") & (WizardState.edits == "")


def key_of(name: str) -> Any:
    """The React key of an input. It changes when the server sets the value, which rebuilds the input."""
    return f"{name}-" + WizardState.versions[name].to(str)


def _common(name: str) -> dict[str, Any]:
    """Attributes of every input."""
    hint = f"{name}-hint " if name in text.FIELD_HINTS else ""
    about = f"{hint}{name}-error" + (f" {name}-stand-in" if name in WISHED else "")
    return {
        "id": name,
        "name": name,
        "key": key_of(name),
        "aria_invalid": WizardState.errors.contains(name),
        "aria_describedby": about,
    }


def error_of(name: str) -> Any:
    return WizardState.errors[name].to(str)


def reset(name: str) -> rx.Component:
    """A mark on a field that the user or a preset changed. A click restores the template's default."""
    differs = WizardState.form[name] != WizardState.initial[name]
    of_preset = WizardState.preset_values.contains(name)
    is_as_set = of_preset & (WizardState.form[name] == WizardState.preset_values[name])
    what = text.RESET_FIELD.format(field=text.FIELD_LABELS[name])
    mark = rx.cond(is_as_set, text.FROM_PRESET, text.CHANGED)
    return rx.cond(
        differs & ((WizardState.template_id != "") | of_preset),
        rx.el.button(
            mark,
            type="button",
            class_name="badge accent reset",
            title=what,
            aria_label=rx.cond(is_as_set, f"{text.FROM_PRESET}: {what}", f"{text.CHANGED}: {what}"),
            on_click=FieldsState.reset_field(name),
        ),
    )


def _labelled(name: str, control: rx.Component) -> rx.Component:
    labelled = field(
        text.FIELD_LABELS[name],
        control,
        hint=text.FIELD_HINTS.get(name, ""),
        error=error_of(name),
        field_id=name,
    )
    beside = [stand_in(name)] if name in WISHED else []
    return rx.el.div(labelled, *beside, reset(name), class_name="wizard-field")


def stand_in(name: Any) -> rx.Component:
    """A note that the node lacks the value chosen in the field. ``name`` may be a var."""
    note = rx.cond(WizardState.stand_ins.contains(name), WizardState.stand_ins[name].to(str), "")
    return rx.el.span(note, class_name="field-stand-in", role="status", id=name + "-stand-in")


def text_field(name: str, *, kind: str = "text", **props: Any) -> rx.Component:
    """An input for one line of text or a number."""
    control = rx.el.input(
        **_common(name),
        type=kind,
        class_name="input mono" if kind == "text" else "input num",
        default_value=WizardState.form[name],
        auto_complete="off",
        on_blur=lambda value: FieldsState.keep(name, value),
        **props,
    )
    return _labelled(name, control)


def range_field(family: str) -> rx.Component:
    """A range of addresses. For one container, a button takes the next free one. ``family``: ipv4 or ipv6."""
    asking = AddressesState.asking_for == family
    label = text.TAKE_FREE.format(family=family.replace("ip", "IP"))
    take = button(
        rx.cond(asking, text.TAKING_FREE, label),
        small=True,
        disabled=AddressesState.asking_for != "",
        on_click=AddressesState.take_free_address(family),
        id=f"take-{family}",
    )
    entered: dict[str, Any] = {"custom_attrs": {"data-enter": f"take-{family}"}}
    return rx.el.div(
        text_field(f"{family}_range", **entered), rx.el.div(take, hidden=IS_SEVERAL), class_name="stack-small"
    )


def one_only(control: rx.Component) -> rx.Component:
    """A field that is used for one container only."""
    return rx.el.div(control, hidden=IS_SEVERAL)


def entry(name: str, **props: Any) -> rx.Component:
    """The input of a field of the form's table, by its type."""
    row = BY_NAME[name]
    if row.is_flag:
        return flag_field(name)
    if row.choices:
        return select_field(name, *fixed_options(text.FIELD_CHOICES[name]))
    if row.is_long:
        return area_field(name)
    if row.is_number and row.default is not None:
        return text_field(name, kind="number", min=row.least, max=row.most, step=1, **props)
    # A number that may be empty: text, with a keypad for digits.
    return text_field(name, **({"input_mode": "numeric"} if row.is_number else {}), **props)


def area_field(name: str, rows: int = 3) -> rx.Component:
    control = rx.el.textarea(
        **_common(name),
        rows=str(rows),
        class_name="textarea mono",
        default_value=WizardState.form[name],
        on_blur=lambda value: FieldsState.keep(name, value),
    )
    return _labelled(name, control)


def select_field(name: str, *options: Any, on_change: Any = None) -> rx.Component:
    control = rx.el.select(
        *options,
        **_common(name),
        class_name="select",
        default_value=WizardState.form[name],
        on_change=on_change or (lambda value: FieldsState.keep(name, value)),
    )
    return _labelled(name, control)


def choice_field(name: str, there: Any, *options: Any) -> rx.Component:
    """A select, or a text input if PVE did not list the options."""
    return rx.cond(there, select_field(name, *options), text_field(name))


def fixed_options(options: Mapping[str, str]) -> list[rx.Component]:
    return [rx.el.option(label, value=value) for value, label in options.items()]


def option(row: rx.Var[Option]) -> rx.Component:
    return rx.el.option(row.label, value=row.value)


def flag_field(name: str) -> rx.Component:
    """A checkbox."""
    box = rx.el.label(
        rx.el.input(
            **_common(name),
            type="checkbox",
            default_checked=WizardState.form[name] != "",
            on_change=lambda value: FieldsState.keep(name, value),
        ),
        text.FIELD_LABELS[name],
        class_name="check",
    )
    hint = text.FIELD_HINTS.get(name, "")
    notes = [rx.el.span(hint, class_name="field-hint", id=f"{name}-hint")] if hint else []
    error = rx.el.span(error_of(name), class_name="field-error", role="alert", id=f"{name}-error")
    return rx.el.div(rx.el.div(box, *notes, error, class_name="field"), reset(name), class_name="wizard-field")


def password_field() -> rx.Component:
    """The password's input. Only a submit sends it. The server never stores or returns it."""
    control = rx.el.input(
        **_common("password"),
        type="password",
        class_name="input",
        auto_complete="new-password",
    )
    labelled = field(text.FIELD_LABELS["password"], control, error=error_of("password"), field_id="password")
    return rx.el.div(labelled, hidden=WizardState.form["password_mode"] != PasswordMode.GIVEN.value)


def step_error(name: str) -> rx.Component:
    """An error of a whole step, where no single input is invalid."""
    return rx.el.span(error_of(name), class_name="field-error", role="alert", id=f"{name}-error")
