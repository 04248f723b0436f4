"""A difference: one block for the config and for each script, file and package list, with signs and colours for lines."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard.components.controls import badge
from lxc_dashboard.state.templates.diff_blocks import DiffBlock, DiffLine


def difference(blocks: Any) -> rx.Component:
    """``blocks``: a Var of ``list[DiffBlock]``."""
    return rx.el.div(rx.foreach(blocks, _block), class_name="diff-blocks")


def _block(block: rx.Var[DiffBlock]) -> rx.Component:
    return rx.el.section(
        rx.el.h3(rx.el.span(block.title, class_name="mono"), " ", badge(block.kind), class_name="diff-title"),
        rx.cond(
            block.notes.length() > 0,
            rx.el.ul(rx.foreach(block.notes, rx.el.li), class_name="diff-notes"),
        ),
        rx.cond(
            block.lines.length() > 0,
            rx.el.pre(
                rx.foreach(block.lines, _line),
                class_name="code diff",
                tab_index=0,
                role="region",
                aria_label=block.title,
            ),
        ),
        class_name="diff-block",
    )


def _line(line: rx.Var[DiffLine]) -> rx.Component:
    return rx.el.code(line.sign, " ", line.text, "\n", class_name="diff-line diff-" + line.kind)
