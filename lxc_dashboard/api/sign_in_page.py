"""The sign-in page: plain forms that work without scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lxc_dashboard import routes, text
from lxc_dashboard.api.html import Markup, document, tag
from lxc_dashboard.services.auth.endpoints import Choice
from lxc_dashboard.services.auth.realms import Realm
from lxc_dashboard.services.auth.sign_in import SecondStep

# Every PVE has these. Shown if the endpoint's own list cannot be read.
DEFAULT_REALMS: Final = (Realm("pam", text.REALM_PAM, is_default=True), Realm("pve", text.REALM_PVE))


@dataclass(frozen=True, slots=True)
class FormValues:
    """The values that the form shows again. Never a password."""

    endpoint_id: str = ""
    user: str = ""
    realm: str = ""
    next_path: str = routes.DASHBOARD


@dataclass(frozen=True, slots=True)
class Messages:
    """The page's messages: one error, errors by field, and notes."""

    error: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def password_page(choices: Sequence[Choice], realms: Sequence[Realm], values: FormValues, messages: Messages) -> str:
    if not choices:
        return _page(_form(tag("h1", text.SIGN_IN_TITLE), _alert(text.NO_ENDPOINT)), messages.notes)
    return _page(
        _form(
            tag("h1", text.SIGN_IN_TITLE),
            tag("p", text.SIGN_IN_LEAD, class_="soft"),
            _alert(messages.error),
            _endpoint(choices, values.endpoint_id),
            _field("user", text.USER, messages, value=values.user, autocomplete="username", autofocus=not values.user),
            _field(
                "password",
                text.PASSWORD,
                messages,
                type="password",
                autocomplete="current-password",
                autofocus=bool(values.user),
            ),
            _labelled("realm", text.REALM, _realms(realms, values.realm)),
            _hidden("next", values.next_path),
            tag("button", text.SIGN_IN, type="submit", class_="button primary"),
        ),
        messages.notes,
    )


def second_step_page(step: SecondStep, next_path: str, messages: Messages) -> str:
    lead = tag("p", text.SECOND_FACTOR_LEAD.format(userid=step.userid), class_="soft")
    again = tag("a", text.START_AGAIN, href=routes.sign_in_again(next_path))
    if not step.kinds:
        return _page(
            _form(tag("h1", text.SECOND_FACTOR_TITLE), lead, _alert(text.TFA_UNSUPPORTED), again), messages.notes
        )
    kinds = [tag("option", text.TFA_KINDS[kind], value=kind) for kind in step.kinds]
    chosen = (
        _labelled("kind", text.TFA_KIND, tag("select", *kinds, id="kind", name="kind", class_="select"))
        if len(kinds) > 1
        else _hidden("kind", step.kinds[0])
    )
    return _page(
        _form(
            tag("h1", text.SECOND_FACTOR_TITLE),
            lead,
            _alert(messages.error),
            chosen,
            _field("code", text.TFA_CODE, messages, autocomplete="one-time-code", autofocus=True, spellcheck="false"),
            _hidden("next", next_path),
            tag("button", text.CONTINUE, type="submit", class_="button primary"),
            again,
        ),
        messages.notes,
    )


def _page(form: Markup, notes: Sequence[str]) -> str:
    return document(
        tag("main", form, *(tag("p", note, class_="gate-note", role="note") for note in notes), class_="gate"),
        tag("script", src="/sign-in.js", defer=True),
        title=f"{text.SIGN_IN_TITLE} · {text.PRODUCT}",
    )


def _form(*children: Markup) -> Markup:
    head = tag(
        "div", tag("span", class_="brand-mark", aria_hidden="true"), tag("span", text.PRODUCT), class_="gate-head"
    )
    return tag("form", head, *children, method="post", action=routes.SIGN_IN, class_="gate-form", novalidate=True)


def _alert(message: str) -> Markup:
    return tag("div", message, class_="note bad", role="alert") if message else Markup("")


def _hidden(name: str, value: str) -> Markup:
    return tag("input", type="hidden", name=name, value=value)


def _labelled(name: str, label: str, control: Markup, error: str = "") -> Markup:
    shown = tag("span", error, class_="field-error", id=f"{name}-error") if error else Markup("")
    return tag(
        "div",
        tag("label", label, for_=name, class_="field-label"),
        control,
        shown,
        class_="field bad" if error else "field",
    )


def _field(name: str, label: str, messages: Messages, **attributes: str | bool) -> Markup:
    error = messages.fields.get(name, "")
    control = tag(
        "input",
        id=name,
        name=name,
        class_="input",
        required=True,
        aria_invalid="true" if error else None,
        aria_describedby=f"{name}-error" if error else None,
        **{"type": "text", **attributes},
    )
    return _labelled(name, label, control, error)


def _endpoint(choices: Sequence[Choice], chosen: str) -> Markup:
    options = [
        tag("option", choice.name, value=str(choice.id), selected=str(choice.id) == chosen) for choice in choices
    ]
    return _labelled(
        "endpoint", text.ENDPOINT, tag("select", *options, id="endpoint", name="endpoint", class_="select")
    )


def _realms(realms: Sequence[Realm], chosen: str) -> Markup:
    options = [
        tag(
            "option",
            f"{realm.name}: {realm.comment}" if realm.comment else realm.name,
            value=realm.name,
            selected=realm.name == chosen,
        )
        for realm in realms
    ]
    usual = json.dumps([{"name": realm.name, "comment": realm.comment} for realm in DEFAULT_REALMS])
    return tag(
        "select", *options, id="realm", name="realm", class_="select", data_source=routes.REALMS, data_usual=usual
    )
