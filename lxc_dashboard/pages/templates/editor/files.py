"""The editor's files: texts and uploads, their targets, and what happens to an existing file."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.code import code
from lxc_dashboard.components.controls import button, native_link
from lxc_dashboard.components.widgets import size
from lxc_dashboard.pages.templates.editor.fields import error_of, fault_mark, remove_button, select_field, text_field
from lxc_dashboard.pages.templates.editor.guide import upload
from lxc_dashboard.state.templates.editor.files import FileRow, FilesState
from lxc_dashboard.state.templates.editor.page import EditorState


def files_part() -> rx.Component:
    there = FilesState.files.length() > 0
    return rx.el.div(
        rx.el.div(
            rx.cond(
                there,
                rx.el.ul(rx.foreach(FilesState.files, _file_row), class_name="entries", aria_label=text.FILES),
                rx.el.p(text.FILE_NONE, class_name="soft"),
            ),
            rx.el.div(
                button(text.FILE_ADD_TEXT, on_click=FilesState.add_text_file),
                upload(text.FILE_UPLOAD, FilesState.uploaded, many=True),
                class_name="row",
            ),
            class_name="stack-small editor-list",
        ),
        rx.cond(there, _file(), rx.fragment()),
        class_name="editor-columns",
    )


def _file_row(row: rx.Var[FileRow]) -> rx.Component:
    chosen = FilesState.file.key == row.key
    return rx.el.li(
        rx.el.button(
            rx.el.span(row.name, class_name="mono entry-name"),
            fault_mark(row.faults),
            rx.el.span(row.target, class_name="soft entry-note"),
            type="button",
            class_name="entry",
            aria_pressed=chosen,
            on_click=FilesState.choose_file(row.key),
        ),
        size(row.size),
        key=row.key,
        class_name=rx.cond(chosen, "entry-row current", "entry-row"),
    )


def _file() -> rx.Component:
    file, words = FilesState.file, text.FILE_FIELDS
    base = "files." + file.key
    download = native_link(
        text.FILE_DOWNLOAD, href=file.href, class_name="button plain", custom_attrs={"download": file.name}
    )
    return rx.el.section(
        rx.el.div(
            text_field(f"{base}.name", file.name, words["name"]),
            text_field(f"{base}.target_dir", file.target_dir, words["target_dir"]),
            select_field(f"{base}.policy", file.policy, words["policy"], dict(text.FILE_POLICIES)),
            text_field(f"{base}.mode", file.mode, words["mode"], input_mode="numeric"),
            text_field(f"{base}.owner", file.owner, words["owner"]),
            class_name="fields",
        ),
        rx.cond(file.is_text, _file_text(base), rx.el.p(text.FILE_BINARY, class_name="soft")),
        rx.el.span(error_of(f"{base}.content"), class_name="field-error", role="alert"),
        rx.el.div(
            upload(text.FILE_REPLACE, FilesState.replaced),
            download,
            remove_button(text.FILE_REMOVE, file.name, FilesState.remove_file(file.key)),
            class_name="row",
        ),
        class_name="stack editor-open",
        aria_label=file.name,
    )


def _file_text(base: Any) -> rx.Component:
    file = FilesState.file
    editor = code(
        FilesState.file_text,
        name=f"{base}-{EditorState.epoch}",
        label=file.name,
        language=file.language,
        on_change=lambda written: FilesState.write_file(EditorState.epoch, file.key, file.name, written),
    )
    label = rx.el.h3(text.FILE_TEXT, class_name="field-label")
    return rx.el.div(label, editor, class_name="field", custom_attrs={"data-field": f"{base}.content"})
