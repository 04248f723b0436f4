"""Light and dark. The colours themselves are tokens of ``assets/dashboard.css``."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import icon


def theme_toggle() -> rx.Component:
    """Follows the system until it is pressed; the choice is kept in this browser."""
    return rx.el.button(
        rx.el.span(icon("sun"), class_name="on-dark"),
        rx.el.span(icon("moon"), class_name="on-light"),
        type="button",
        class_name="button quiet icon-only",
        title=text.SWITCH_THEME,
        aria_label=text.SWITCH_THEME,
        on_click=rx.toggle_color_mode,
    )
