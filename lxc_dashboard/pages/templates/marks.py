"""Marks, tags and findings of templates, as several pages show them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard.components.controls import badge
from lxc_dashboard.state.templates.rows import Mark, Refused


def refusal(refused: rx.Var[Refused]) -> rx.Component:
    """Where and why, as a line of a list."""
    return rx.el.li(rx.el.code(refused.place), " ", refused.why)


def findings(found: list[Refused]) -> rx.Component:
    """All of them, each with its place. ``found`` is a var of a state."""
    return rx.el.ul(rx.foreach(found, refusal), class_name="findings")


def mark(shown: rx.Var[Mark]) -> rx.Component:
    """What is particular about a template: a word, and more on hover."""
    return rx.el.span(shown.word, class_name="badge " + shown.tone, title=shown.detail)


def tags(shown: Any, *more: rx.Component) -> rx.Component:
    return rx.el.span(rx.foreach(shown, badge), *more, class_name="tags")
