"""Buttons, links, fields and small marks. Their looks are classes of ``assets/dashboard.css``.

``native_form`` and ``native_link`` behave as in plain HTML. Reflex's forms never submit, and its links never leave the
router.
"""

from __future__ import annotations

from typing import Any, Literal

import reflex as rx
from reflex_base.components.component import field as component_field
from reflex_components_core.el.elements.base import BaseHTML  # type: ignore[import-untyped] # no marker
from reflex_components_core.react_router.dom import ReactRouterLink  # type: ignore[import-untyped] # no marker

from lxc_dashboard import text

Kind = Literal["plain", "primary", "danger", "quiet"]

STATES = {
    "running": text.STATE_RUNNING,
    "stopped": text.STATE_STOPPED,
    "changing": text.STATE_CHANGING,
    "error": text.STATE_ERROR,
    "unknown": text.STATE_UNKNOWN,
}


def button(label: Any, *, kind: Kind = "plain", small: bool = False, **props: Any) -> rx.Component:
    """A button with a verb as label. At most one ``primary`` per page. Submits a form only with ``type="submit"``."""
    props.setdefault("type", "button")
    return rx.el.button(label, class_name=f"button {kind}{' small' if small else ''}", **props)


def link(label: Any, href: Any, **props: Any) -> rx.Component:
    """A link within the product: the page changes without a load."""
    return ReactRouterLink.create(label, to=href, **props)


def link_button(label: Any, href: Any, *, kind: Kind = "plain") -> rx.Component:
    """A link that looks like a button."""
    return ReactRouterLink.create(label, to=href, class_name=f"button {kind}")


def field(label: Any, control: rx.Component, *, hint: Any = "", error: Any = "", field_id: str = "") -> rx.Component:
    """A control under its label, with hint and error. Give the control ``id=field_id``.

    The ids of hint and error are ``<field_id>-hint`` and ``<field_id>-error``.
    """
    notes = [rx.el.span(hint, class_name="field-hint", id=f"{field_id}-hint")] if hint != "" else []
    return rx.el.div(
        rx.el.label(label, class_name="field-label", html_for=field_id),
        control,
        *notes,
        rx.el.span(error, class_name="field-error", role="alert", id=f"{field_id}-error"),
        class_name=rx.cond(error, "field bad", "field") if isinstance(error, rx.Var) else "field",
    )


def status_dot(state: Any) -> rx.Component:
    """A shape for running, stopped, changing, error or unknown. Its word shows on hover and for screen readers."""
    if isinstance(state, str):
        word: Any = STATES.get(state, STATES["unknown"])
        return rx.el.span(class_name=f"dot {state}", title=word, role="img", aria_label=word)
    word = rx.match(state, *((key, value) for key, value in STATES.items()), STATES["unknown"])
    return rx.el.span(class_name="dot " + state.to(str), title=word, role="img", aria_label=word)


def badge(label: Any, *, tone: Any = "plain") -> rx.Component:
    """A word in a frame. Tones: plain, good, warm, bad, accent."""
    name = f"badge {tone}" if isinstance(tone, str) else "badge " + tone.to(str)
    return rx.el.span(label, class_name=name)


def icon(name: str, size: int = 16) -> rx.Component:
    """A decorative Lucide icon. The text beside it, or its parent's label, states its meaning."""
    return rx.icon(name, size=size, aria_hidden=True)


def mono(value: Any, **props: Any) -> rx.Component:
    return rx.el.span(value, class_name="mono", **props)


def code_block(value: Any, *, label: Any) -> rx.Component:
    """Text unchanged, scrolled within its frame."""
    return rx.el.pre(rx.el.code(value), class_name="code", tab_index=0, role="region", aria_label=label)


class NativeForm(BaseHTML):
    tag = "form"
    action: rx.Var[str] = component_field()
    method: rx.Var[str] = component_field()


def native_form(*children: Any, action: str, **props: Any) -> rx.Component:
    """A form that posts to a plain HTTP route. The answer replaces the page."""
    return NativeForm.create(*children, action=action, method="post", **props)


class NativeLink(BaseHTML):
    tag = "a"
    href: rx.Var[str] = component_field()
    target: rx.Var[str] = component_field()
    rel: rx.Var[str] = component_field()


def native_link(*children: Any, href: Any, **props: Any) -> rx.Component:
    """A link to a place on this page, a file, or another site."""
    return NativeLink.create(*children, href=href, **props)
