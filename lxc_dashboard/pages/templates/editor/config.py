"""The editor's config: every field with its range, its meaning in PVE, and its error."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.pages.templates.editor.fields import area_field, flag_field, text_field
from lxc_dashboard.state.templates.editor.page import EditorState


def config_part() -> rx.Component:
    return rx.el.div(
        _group("about", _text("name", path="name"), _text("app"), _text("tags"), _area("description")),
        _group("resources", *(_number(name, least) for name, least in _LEAST.items())),
        _group("system", *(_text(name) for name in ("os", "version", "storage", "bridge"))),
        _group(
            "features",
            *(
                flag_field(f"config.{name}", EditorState.form[name] != "", text.CONFIG_FIELDS[name])
                for name in ("unprivileged", "nesting", "keyctl", "fuse", "network")
            ),
        ),
        rx.cond(EditorState.form["unprivileged"] == "", note(text.PRIVILEGED_WARNING, tone="warm")),
        class_name="stack",
    )


_LEAST = {"cpu": 1, "ram_mib": 16, "swap_mib": 0, "disk_gib": 1}


def _group(name: str, *controls: rx.Component) -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(text.CONFIG_GROUPS[name], class_name="fields-title"), rx.el.div(*controls, class_name="fields")
    )


def _text(name: str, path: str = "") -> rx.Component:
    return text_field(path or f"config.{name}", EditorState.form[name], text.CONFIG_FIELDS[name])


def _area(name: str) -> rx.Component:
    return area_field(f"config.{name}", EditorState.form[name], text.CONFIG_FIELDS[name])


def _number(name: str, least: int) -> rx.Component:
    words = text.CONFIG_FIELDS[name]
    return text_field(f"config.{name}", EditorState.form[name], words, input_mode="numeric", min=least)
