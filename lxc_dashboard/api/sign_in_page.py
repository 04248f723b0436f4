"""The sign-in page, with plain forms that work without scripts, and the page "service unavailable", without Reflex.

Their HTML escapes by default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.services.auth.endpoints import Choice, Realm
from lxc_dashboard.services.auth.sign_in import SecondStep

RELOAD_AFTER_S: Final = 2
VOID: Final = frozenset({"input", "link", "meta"})


class Markup(str):
    """Text that is already HTML. Only ``tag`` creates it."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | bool | None) -> Markup:
    """``tag("p", "a < b", class_="soft")``: an element with escaped children and attributes.

    Attribute names lose a trailing underscore; other underscores become hyphens. None and False omit the attribute.
    """
    opened = "".join(_attributes(attributes))
    if name in VOID:
        return Markup(f"<{name}{opened}>")
    content = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{opened}>{content}</{name}>")


def _attributes(attributes: dict[str, str | bool | None]) -> Iterator[str]:
    for name, value in attributes.items():
        written = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {written}"
        elif value is not None and value is not False:
            yield f' {written}="{escape(value)}"'


def document(*children: str, title: str) -> str:
    """A whole page with the product's stylesheet, theme script and icon."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="/favicon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/dashboard.css"),
        tag("script", src="/theme.js"),
    )
    return f"<!doctype html>{tag('html', head, tag('body', *children), lang='en')}"


def unavailable_page(cause: str, reference: str) -> Response:
    """503 while PostgreSQL or Redis does not answer. The browser reloads the page until both answer."""
    content = tag(
        "main",
        tag("h1", text.FAILED_TITLE, class_="block-title"),
        tag("p", f"{cause}. {text.AWAY_AGAIN}", role="status"),
        tag("p", text.REFERENCE.format(reference=reference), class_="block-reference"),
        class_="block",
    )
    headers = {**NO_STORE, "Refresh": str(RELOAD_AFTER_S)}
    return HTMLResponse(document(content, title=text.PRODUCT), status_code=503, headers=headers)


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
