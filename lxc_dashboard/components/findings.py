"""What was refused or found in templates, line by line."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard.state.template_rows import Refused


def refusal(refused: rx.Var[Refused]) -> rx.Component:
    """Where and why, as a line of a list."""
    return rx.el.li(rx.el.code(refused.place), " ", refused.why)


def findings(found: list[Refused]) -> rx.Component:
    """All of them, each with its place. ``found`` is a var of a state."""
    return rx.el.ul(rx.foreach(found, refusal), class_name="findings")
