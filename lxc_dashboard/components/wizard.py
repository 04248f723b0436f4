"""Fields and lists of the wizard. All inputs stand in one form and keep what is typed, whichever step is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex_base.components.component import field as prop

from lxc_dashboard import text
from lxc_dashboard.components.controls import badge, button, field
from lxc_dashboard.components.scripts import script
from lxc_dashboard.services.creation.form.fields import BY_NAME
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.state.create import CreateState
from lxc_dashboard.state.selection import EXTRA_MANAGERS
from lxc_dashboard.state.summary import Option
from lxc_dashboard.state.wizard import ExtraRow, PackageRow

FORM_ID = "wizard"
ADD_ID = "add-extra"
# wizard_guide.js knows it too.
FIND_ID = "find-template"
EASILY_SEEN = 6
# Fields of which a template may name what a node has not.
WISHED = frozenset({"ostemplate", "storage", "bridge"})


class WizardGuide(rx.Component):
    """Leads the focus, and knows the wizard's keys."""

    library = script(__name__, "wizard_guide.js")
    tag = "WizardGuide"

    form: rx.Var[str] = prop()
    step: rx.Var[str] = prop()
    refusals: rx.Var[int] = prop()
    aim: rx.Var[str] = prop()


def guide() -> rx.Component:
    return WizardGuide.create(form=FORM_ID, step=CreateState.step, refusals=CreateState.refusals, aim=CreateState.aim)


def hidden_marks() -> rx.Component:
    """With each submit: the step it was pressed in, and what the page knows of the inputs that the server has set."""
    return rx.fragment(
        rx.el.input(type="hidden", name="step", default_value=CreateState.step, key="step-" + CreateState.step),
        rx.el.input(
            type="hidden",
            name="versions",
            default_value=CreateState.versions.to_string(),
            key="versions-" + CreateState.versions.to_string(),
        ),
    )


def _key(name: str) -> Any:
    """A new one when the server sets the value: then the input is made anew with it."""
    return f"{name}-" + CreateState.versions[name].to(str)


def _common(name: str, *, described: bool = True) -> dict[str, Any]:
    """What every input has."""
    hint = f"{name}-hint " if name in text.FIELD_HINTS else ""
    about = f"{hint}{name}-error" + (f" {name}-stand-in" if name in WISHED else "")
    return {
        "id": name,
        "name": name,
        "key": _key(name),
        "aria_invalid": CreateState.errors.contains(name),
        **({"aria_describedby": about} if described else {}),
    }


def _error(name: str) -> Any:
    return CreateState.errors[name].to(str)


def reset(name: str) -> rx.Component:
    """Says that a field differs from the template's default, and whether a preset has set it so; and puts that back."""
    differs = CreateState.form[name] != CreateState.initial[name]
    of_preset = CreateState.preset_values.contains(name)
    is_as_set = of_preset & (CreateState.form[name] == CreateState.preset_values[name])
    what = text.RESET_FIELD.format(field=text.FIELD_LABELS[name])
    mark = rx.cond(is_as_set, text.FROM_PRESET, text.CHANGED)
    return rx.cond(
        differs & ((CreateState.template_id != "") | of_preset),
        rx.el.button(
            mark,
            type="button",
            class_name="badge accent reset",
            title=what,
            aria_label=rx.cond(is_as_set, f"{text.FROM_PRESET}: {what}", f"{text.CHANGED}: {what}"),
            on_click=CreateState.reset_field(name),
        ),
    )


def _labelled(name: str, control: rx.Component) -> rx.Component:
    labelled = field(
        text.FIELD_LABELS[name],
        control,
        hint=text.FIELD_HINTS.get(name, ""),
        error=_error(name),
        field_id=name,
    )
    beside = [stand_in(name)] if name in WISHED else []
    return rx.el.div(labelled, *beside, reset(name), class_name="wizard-field")


def stand_in(name: Any) -> rx.Component:
    """What was chosen in the field or the template names for it, where the node has no such one. ``name`` may be a variable."""
    told = rx.cond(CreateState.stand_ins.contains(name), CreateState.stand_ins[name].to(str), "")
    return rx.el.span(told, class_name="field-stand-in", role="status", id=name + "-stand-in")


def text_field(name: str, *, kind: str = "text", **props: Any) -> rx.Component:
    """A line of text or a number."""
    control = rx.el.input(
        **_common(name),
        type=kind,
        class_name="input mono" if kind == "text" else "input num",
        default_value=CreateState.form[name],
        auto_complete="off",
        on_blur=lambda value: CreateState.keep(name, value),
        **props,
    )
    return _labelled(name, control)


def range_field(family: str) -> rx.Component:
    """A range, and the button that takes its next free address, where it is not several. ``family``: ipv4 or ipv6."""
    asking = CreateState.asking_for == family
    label = text.TAKE_FREE.format(family=family.replace("ip", "IP"))
    take = button(
        rx.cond(asking, text.TAKING_FREE, label),
        small=True,
        disabled=CreateState.asking_for != "",
        on_click=CreateState.take_free_address(family),
        id=f"take-{family}",
    )
    several = (CreateState.form["hostname_pattern"] != "") & (CreateState.edits == "")
    entered: dict[str, Any] = {"custom_attrs": {"data-enter": f"take-{family}"}}
    return rx.el.div(
        text_field(f"{family}_range", **entered), rx.el.div(take, hidden=several), class_name="stack-small"
    )


def entry(name: str, **props: Any) -> rx.Component:
    """The input of a field of the form's table: a box, a list to choose from, several lines, a number or a line of text."""
    row = BY_NAME[name]
    if row.is_flag:
        return flag_field(name)
    if row.choices:
        return select_field(name, *fixed_options(text.FIELD_CHOICES[name]))
    if row.is_long:
        return area_field(name)
    if row.is_number and row.default is not None:
        return text_field(name, kind="number", min=row.least, max=row.most, step=1, **props)
    # A number that may be empty is a line of text with a keypad for digits.
    return text_field(name, **({"input_mode": "numeric"} if row.is_number else {}), **props)


def area_field(name: str, rows: int = 3) -> rx.Component:
    control = rx.el.textarea(
        **_common(name),
        rows=str(rows),
        class_name="textarea mono",
        default_value=CreateState.form[name],
        on_blur=lambda value: CreateState.keep(name, value),
    )
    return _labelled(name, control)


def select_field(name: str, *options: Any, on_change: Any = None) -> rx.Component:
    control = rx.el.select(
        *options,
        **_common(name),
        class_name="select",
        default_value=CreateState.form[name],
        on_change=on_change or (lambda value: CreateState.keep(name, value)),
    )
    return _labelled(name, control)


def choice_field(name: str, there: Any, *options: Any) -> rx.Component:
    """A select, or a line to type in where PVE did not say what there is."""
    return rx.cond(there, select_field(name, *options), text_field(name))


def fixed_options(options: Mapping[str, str]) -> list[rx.Component]:
    return [rx.el.option(label, value=value) for value, label in options.items()]


def option(row: rx.Var[Option]) -> rx.Component:
    return rx.el.option(row.label, value=row.value)


def flag_field(name: str) -> rx.Component:
    """A box to tick."""
    box = rx.el.label(
        rx.el.input(
            **_common(name),
            type="checkbox",
            default_checked=CreateState.form[name] != "",
            on_change=lambda value: CreateState.keep(name, value),
        ),
        text.FIELD_LABELS[name],
        class_name="check",
    )
    hint = text.FIELD_HINTS.get(name, "")
    notes = [rx.el.span(hint, class_name="field-hint", id=f"{name}-hint")] if hint else []
    error = rx.el.span(_error(name), class_name="field-error", role="alert", id=f"{name}-error")
    return rx.el.div(rx.el.div(box, *notes, error, class_name="field"), reset(name), class_name="wizard-field")


def password_field() -> rx.Component:
    """Neither kept nor sent back: only the form's own submit carries it."""
    control = rx.el.input(
        **_common("password"),
        type="password",
        class_name="input",
        auto_complete="new-password",
    )
    labelled = field(text.FIELD_LABELS["password"], control, error=_error("password"), field_id="password")
    return rx.el.div(labelled, hidden=CreateState.form["password_mode"] != PasswordMode.GIVEN.value)


def package_list() -> rx.Component:
    return rx.cond(
        CreateState.packages.length() > 0,
        rx.el.ul(rx.foreach(CreateState.packages, _package), class_name="checks"),
        rx.el.p(text.NO_PACKAGES, class_name="soft"),
    )


def _package(row: rx.Var[PackageRow]) -> rx.Component:
    return rx.el.li(
        rx.el.label(
            rx.el.input(type="checkbox", checked=row.on, on_change=lambda _on: CreateState.toggle_package(row.key)),
            rx.el.span(row.spec, class_name="mono"),
            badge(row.manager),
            rx.el.span(row.bucket, class_name="soft"),
            class_name="check",
        )
    )


def extra_packages() -> rx.Component:
    return rx.el.div(
        rx.cond(
            CreateState.extras.length() > 0,
            rx.el.ul(rx.foreach(CreateState.extras, _extra), class_name="checks"),
        ),
        rx.el.div(
            rx.el.select(
                *(rx.el.option(manager, value=manager) for manager in EXTRA_MANAGERS),
                class_name="select",
                aria_label=text.MANAGER,
                value=CreateState.extra_manager,
                on_change=CreateState.choose_extra_manager,
            ),
            _extra_spec(),
            button(text.ADD, on_click=CreateState.add_extra, id=ADD_ID, custom_attrs={"data-takes": "extra-spec"}),
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
        key=_key("extra_spec"),
        default_value=CreateState.extra_spec,
        auto_complete="off",
        on_blur=CreateState.write_extra,
        aria_invalid=CreateState.errors.contains("packages_extra"),
        aria_describedby="packages_extra-error",
        custom_attrs={"data-enter": ADD_ID},
    )


def step_error(name: str) -> rx.Component:
    """A fault of a step that has no single input for it."""
    return rx.el.span(_error(name), class_name="field-error", role="alert", id=f"{name}-error")


def _extra(row: rx.Var[ExtraRow]) -> rx.Component:
    return rx.el.li(
        rx.el.span(row.spec, class_name="mono"),
        badge(row.manager),
        button(
            text.REMOVE,
            kind="quiet",
            small=True,
            aria_label=text.REMOVE + " " + row.spec,
            on_click=CreateState.remove_extra(row.manager, row.spec),
        ),
        class_name="row",
    )
