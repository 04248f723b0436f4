"""Marks, tags and findings of templates, used by several pages."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard.components.controls import badge
from lxc_dashboard.state.templates.rows import Mark, Refused


def refusal(refused: rx.Var[Refused]) -> rx.Component:
    """Place and reason, as an entry of a list."""
    return rx.el.li(rx.el.code(refused.place), " ", refused.why)


def findings(found: list[Refused]) -> rx.Component:
    """A list of all, each with its place. ``found`` is a var of a state."""
    return rx.el.ul(rx.foreach(found, refusal), class_name="findings")


def mark(shown: rx.Var[Mark]) -> rx.Component:
    """A property of a template: a word, with its explanation on hover."""
    return rx.el.span(shown.word, class_name="badge " + shown.tone, title=shown.detail)


def tags(shown: Any, *more: rx.Component) -> rx.Component:
    return rx.el.span(rx.foreach(shown, badge), *more, class_name="tags")
