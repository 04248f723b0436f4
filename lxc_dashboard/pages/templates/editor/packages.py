"""The editor's package lists: the template's own and shared buckets."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import panel
from lxc_dashboard.components.controls import button, code_block, field
from lxc_dashboard.pages.templates.editor.fields import common, error_of, labelled, text_field
from lxc_dashboard.state.templates.editor.packages import MANAGERS, BucketChoice, ListRow, PackagesState


def packages_part() -> rx.Component:
    return rx.el.div(
        rx.el.p(text.PACKAGES_HINT, class_name="field-hint"),
        rx.cond(
            PackagesState.lists.length() > 0,
            rx.el.div(rx.foreach(PackagesState.lists, _list), class_name="stack"),
            rx.el.p(text.PACKAGES_NONE, class_name="soft"),
        ),
        rx.el.span(PackagesState.list_trouble, class_name="field-error", role="alert"),
        rx.el.div(_add_list(), _add_shared(), class_name="fields"),
        class_name="stack",
    )


def _list(row: rx.Var[ListRow]) -> rx.Component:
    title = row.name + "." + row.manager
    remove = button(
        text.REMOVE, small=True, aria_label=text.REMOVE + " " + title, on_click=PackagesState.remove_list(row.key)
    )
    content = rx.cond(row.shared, _shared_list(row, title), _own_list(row, title))
    return rx.el.div(panel(title, content, actions=remove), key=row.key)


def _own_list(row: rx.Var[ListRow], title: Any) -> rx.Component:
    base = "packages." + row.key
    before, _, after = text.PACKAGES_LIST.partition("{name}")
    lines = rx.el.textarea(
        **common(f"{base}.lines"), rows="8", default_value=row.lines, class_name="textarea mono", spell_check=False
    )
    return rx.el.div(
        text_field(f"{base}.name", row.name, (text.PACKAGES_FIELDS["name"], "")),
        labelled(f"{base}.lines", (before + title + after, ""), lines),
        class_name="stack-small",
    )


def _shared_list(row: rx.Var[ListRow], title: Any) -> rx.Component:
    return rx.el.div(
        rx.el.p(text.PACKAGES_SHARED_NOTE, class_name="field-hint"),
        code_block(row.lines, label=title),
        rx.el.span(error_of("packages." + row.key + ".lines"), class_name="field-error", role="alert"),
        class_name="stack-small",
    )


def _add_list() -> rx.Component:
    manager = rx.el.select(
        *(rx.el.option(name, value=name) for name in MANAGERS),
        id="new-manager",
        class_name="select",
        value=PackagesState.new_manager,
        on_change=PackagesState.choose_manager,
    )
    return field(
        text.PACKAGES_FIELDS["manager"],
        rx.el.div(manager, button(text.PACKAGES_ADD_LIST, on_click=PackagesState.add_list), class_name="add-row"),
        field_id="new-manager",
    )


def _add_shared() -> rx.Component:
    choose = rx.el.select(
        rx.el.option(text.PACKAGES_SHARED_CHOOSE, value=""),
        rx.foreach(PackagesState.bucket_choices, _choice),
        id="shared-bucket",
        class_name="select",
        value="",
        on_change=PackagesState.add_shared,
    )
    return rx.cond(
        PackagesState.bucket_choices.length() > 0,
        field(text.PACKAGES_ADD_SHARED, choose, field_id="shared-bucket"),
        rx.el.p(text.PACKAGES_NO_SHARED, class_name="soft"),
    )


def _choice(choice: rx.Var[BucketChoice]) -> rx.Component:
    return rx.el.option(choice.label, value=choice.id)
