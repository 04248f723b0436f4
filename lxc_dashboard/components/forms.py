"""HTML as the browser itself treats it: Reflex's own forms never submit, its own links never leave the router."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field
from reflex_components_core.el.elements.base import BaseHTML  # type: ignore[import-untyped] # no marker


class NativeForm(BaseHTML):
    tag = "form"
    action: rx.Var[str] = field()
    method: rx.Var[str] = field()


def native_form(*children: Any, action: str, **props: Any) -> rx.Component:
    """Posts to a plain HTTP route and loads the whole page it answers with."""
    return NativeForm.create(*children, action=action, method="post", **props)


class NativeLink(BaseHTML):
    tag = "a"
    href: rx.Var[str] = field()
    target: rx.Var[str] = field()
    rel: rx.Var[str] = field()


def native_link(*children: Any, href: Any, **props: Any) -> rx.Component:
    """A link to a place in this page, a file, or another site."""
    return NativeLink.create(*children, href=href, **props)
