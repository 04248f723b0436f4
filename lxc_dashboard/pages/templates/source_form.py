"""The form of a git source. Inputs hold their own text: secrets are sent with the submit and never come back."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.controls import button, field, link
from lxc_dashboard.state.templates.sources import KEEP, NEW, SourcesState

FORM_ID: Final = "source"
OPENED: Final = SourcesState.opened


def source_form() -> rx.Component:
    return rx.el.form(
        rx.el.div(
            _line("name", text.SOURCE_NAME, text.SOURCE_NAME_HINT, value=OPENED.name),
            _line("location", text.SOURCE_ADDRESS, text.SOURCE_ADDRESS_HINT, value=OPENED.location),
            _line("ref", text.SOURCE_REF, text.SOURCE_REF_HINT, value=OPENED.ref),
            _line("subfolder", text.SOURCE_SUBFOLDER, text.SOURCE_SUBFOLDER_HINT, value=OPENED.subfolder),
            _every(),
            _access(),
            rx.match(SourcesState.access, ("password", _password()), ("key", _key()), rx.fragment()),
            _hooks(),
            rx.cond(SourcesState.hooks == "secret", _hook_secret()),
            class_name="source-fields",
        ),
        rx.cond(SourcesState.offered_server != "", _offered()),
        _foot(),
        key=SourcesState.chosen + SourcesState.formed.to_string(),
        on_submit=SourcesState.save,
        id=FORM_ID,
        no_validate=True,
        class_name="stack",
    )


def _common(name: str, *, hint: bool = True) -> dict[str, Any]:
    described = f"{name}-hint {name}-error" if hint else f"{name}-error"
    wrong = rx.cond(SourcesState.errors[name] != "", "true", "false")
    return {"id": name, "name": name, "aria_describedby": described, "aria_invalid": wrong}


def _line(name: str, label: str, hint: str, *, value: Any = "", kind: str = "text") -> rx.Component:
    control = rx.el.input(
        **_common(name),
        type=kind,
        class_name="input mono",
        default_value=value,
        auto_complete="new-password" if kind == "password" else "off",
        spell_check=False,
    )
    return field(label, control, hint=hint, error=SourcesState.errors[name], field_id=name)


def _select(name: str, label: str, options: list[rx.Component], value: Any, on_change: Any = None) -> rx.Component:
    more = {"on_change": on_change} if on_change is not None else {}
    control = rx.el.select(*options, id=name, name=name, class_name="select", default_value=value, **more)
    error = SourcesState.errors[name] if name == "every_s" else ""
    return field(label, control, error=error, field_id=name)


def _options(choices: dict[str, str]) -> list[rx.Component]:
    return [rx.el.option(label, value=value) for value, label in choices.items()]


def _every() -> rx.Component:
    return _select("every_s", text.SOURCE_SCHEDULE, _options(text.SOURCE_SCHEDULES), OPENED.every_s)


def _access() -> rx.Component:
    keep = rx.cond(OPENED.opened_with != "", rx.el.option(text.SOURCE_ACCESS_KEEP, value=KEEP))
    return _select(
        "access",
        text.SOURCE_ACCESS,
        [keep, *_options(text.SOURCE_ACCESSES)],
        SourcesState.access,
        SourcesState.open_with,
    )


def _hooks() -> rx.Component:
    keep = rx.cond(OPENED.webhook != "", rx.el.option(text.SOURCE_HOOKS_KEEP, value=KEEP))
    return _select(
        "hooks",
        text.SOURCE_HOOKS,
        [keep, *_options(text.SOURCE_HOOKS_CHOICES)],
        SourcesState.hooks,
        SourcesState.take_hooks,
    )


def _password() -> rx.Component:
    return rx.fragment(
        _line("username", text.SOURCE_USER, text.SOURCE_USER_HINT),
        _line("password", text.SOURCE_PASSWORD, "", kind="password"),
    )


def _key() -> rx.Component:
    control = rx.el.textarea(
        **_common("private_key"), class_name="textarea mono", rows="4", auto_complete="off", spell_check=False
    )
    error = SourcesState.errors["private_key"]
    return field(text.SOURCE_KEY, control, hint=text.SOURCE_KEY_HINT, error=error, field_id="private_key")


def _hook_secret() -> rx.Component:
    return _line("webhook_secret", text.SOURCE_HOOK_SECRET, text.SOURCE_HOOK_HINT, kind="password")


def _offered() -> rx.Component:
    before, _, after = text.SOURCE_PIN_TITLE.partition("{server}")
    return rx.el.div(
        rx.el.p(before, SourcesState.offered_server, after),
        rx.el.code(SourcesState.offered_fingerprint),
        rx.el.p(text.SOURCE_PIN_HOW, class_name="soft"),
        class_name="source-pin stack-small",
        role="status",
    )


def _foot() -> rx.Component:
    is_new = SourcesState.chosen == NEW
    verb = rx.cond(is_new, text.SOURCE_ADD, text.SOURCE_SAVE)
    label = rx.cond(SourcesState.offered_server != "", text.SOURCE_PIN, verb)
    cancel = rx.cond(
        is_new,
        link(text.CANCEL, routes.SOURCES, class_name="button plain"),
        button(text.CANCEL, on_click=SourcesState.leave),
    )
    return rx.el.div(
        button(
            rx.cond(SourcesState.trying, text.SOURCE_SAVING, label),
            kind="primary",
            type="submit",
            disabled=SourcesState.trying,
        ),
        cancel,
        class_name="row",
    )
