"""The review's commands that make the same container without the dashboard."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import panel
from lxc_dashboard.components.controls import code_block
from lxc_dashboard.components.widgets import copy_button
from lxc_dashboard.state.creation.review import ReviewState


def as_commands() -> rx.Component:
    """Nothing where the fields are not right yet, or no vmid is known."""
    return rx.cond(
        ReviewState.pct_command != "",
        panel(
            text.AS_COMMAND,
            rx.el.div(
                rx.el.p(text.AS_COMMAND_LEAD, class_name="soft"),
                _command(text.AS_PCT, ReviewState.pct_command, "as-pct"),
                _command(text.AS_API, ReviewState.api_command, "as-api"),
                class_name="stack-small",
            ),
        ),
    )


def _command(title: str, command: Any, command_id: str) -> rx.Component:
    return rx.el.details(
        rx.el.summary(title),
        rx.el.div(
            rx.el.div(copy_button(command, text.COPY_COMMAND), class_name="row"),
            code_block(command, label=title),
            class_name="stack-small",
            id=command_id,
        ),
    )
