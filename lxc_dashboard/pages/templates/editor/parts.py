"""The editor's files, package lists and scripts."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import panel
from lxc_dashboard.components.code import CodeFinding, code
from lxc_dashboard.components.controls import badge, button, code_block, field, icon, native_link
from lxc_dashboard.components.widgets import size
from lxc_dashboard.pages.templates.editor.fields import (
    common,
    error_of,
    fault_mark,
    flag_field,
    labelled,
    remove_button,
    select_field,
    text_field,
)
from lxc_dashboard.pages.templates.editor.guide import sortable, upload
from lxc_dashboard.state.templates.editor.files import FileRow, FilesState
from lxc_dashboard.state.templates.editor.packages import MANAGERS, BucketChoice, ListRow, PackagesState
from lxc_dashboard.state.templates.editor.page import EditorState
from lxc_dashboard.state.templates.editor.scripts import ScriptRow, ScriptsState


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


FINDINGS_ID = "script-findings"


def scripts_part() -> rx.Component:
    listed = sortable(
        rx.foreach(ScriptsState.scripts, _script_row),
        order=ScriptsState.script_order,
        message=ScriptsState.moved_note,
        on_move=ScriptsState.move_script,
        label=text.SCRIPTS,
        class_name="entries",
    )
    there = ScriptsState.scripts.length() > 0
    return rx.el.div(
        rx.el.div(
            rx.el.p(text.SCRIPTS_HINT, " ", text.SCRIPT_KEYS, class_name="field-hint"),
            rx.cond(there, listed, rx.el.p(text.SCRIPT_NONE, class_name="soft")),
            button(text.SCRIPT_ADD, on_click=ScriptsState.add_script),
            class_name="stack-small editor-list",
        ),
        rx.cond(there, _script(), rx.fragment()),
        class_name="editor-columns",
    )


def _script_row(row: rx.Var[ScriptRow]) -> rx.Component:
    chosen = ScriptsState.script.key == row.key
    return rx.el.li(
        rx.el.span(icon("grip-vertical"), class_name="grip"),
        rx.el.button(
            rx.el.span(row.name, class_name="mono entry-name"),
            fault_mark(row.faults),
            rx.cond(row.findings > 0, badge(row.findings.to(str), tone="warm")),
            rx.cond(~row.enabled, badge(text.SCRIPT_DISABLED_MARK)),
            rx.cond(row.optional, badge(text.SCRIPT_OPTIONAL)),
            type="button",
            class_name="entry",
            aria_pressed=chosen,
            on_click=ScriptsState.choose_script(row.key),
            custom_attrs={"data-part": "choose", "aria-keyshortcuts": "Alt+ArrowUp Alt+ArrowDown"},
        ),
        _move("↑", text.MOVE_UP, row, -1, row.first),
        _move("↓", text.MOVE_DOWN, row, 1, row.last),
        key=row.key,
        draggable=True,
        class_name=rx.cond(chosen, "entry-row current", "entry-row"),
        custom_attrs={"data-row": row.key},
    )


def _move(sign: str, verb: str, row: Any, by: int, disabled: Any) -> rx.Component:
    return button(
        sign,
        kind="quiet",
        small=True,
        disabled=disabled,
        aria_label=verb + " " + row.name,
        custom_attrs={"data-by": str(by), "data-part": "up" if by < 0 else "down"},
    )


def _script() -> rx.Component:
    script, words = ScriptsState.script, text.SCRIPT_FIELDS
    base = "scripts." + script.key
    return rx.el.section(
        rx.el.div(
            text_field(f"{base}.name", script.name, words["name"]),
            text_field(f"{base}.description", script.description, words["description"]),
            text_field(f"{base}.timeout_s", script.timeout_s, words["timeout_s"], input_mode="numeric"),
            flag_field(f"{base}.enabled", script.enabled, words["enabled"]),
            flag_field(f"{base}.optional", script.optional, words["optional"]),
            class_name="fields",
        ),
        _script_text(base),
        _findings(),
        remove_button(text.SCRIPT_REMOVE, script.name, ScriptsState.remove_script(script.key)),
        class_name="stack editor-open",
        aria_label=script.name,
    )


def _script_text(base: Any) -> rx.Component:
    script = ScriptsState.script
    return rx.el.div(
        rx.el.h3(text.SCRIPT_TEXT, class_name="field-label"),
        code(
            ScriptsState.script_text,
            name=f"{script.key}-{EditorState.epoch}",
            label=script.name,
            language="shell",
            findings=ScriptsState.findings,
            described_by=FINDINGS_ID,
            go_to=ScriptsState.go_to,
            on_change=lambda written: ScriptsState.write_script(EditorState.epoch, script.key, script.name, written),
        ),
        rx.el.span(error_of(f"{base}.content"), class_name="field-error", role="alert"),
        class_name="field",
        custom_attrs={"data-field": f"{base}.content"},
    )


def _findings() -> rx.Component:
    found = ScriptsState.findings
    state = rx.cond(ScriptsState.linting, text.LINT_RUNNING, rx.cond(found.length() > 0, "", text.LINT_NONE))
    return rx.el.div(
        rx.el.h3(text.LINT_TITLE, class_name="field-label"),
        rx.el.span(state, class_name="soft"),
        rx.cond(found.length() > 0, rx.el.ul(rx.foreach(found, _finding), class_name="findings")),
        id=FINDINGS_ID,
        class_name="stack-small",
    )


def _finding(found: rx.Var[CodeFinding]) -> rx.Component:
    before, _, after = text.LINT_LINE.partition("{line}")
    level = rx.match(found.level, *text.LINT_LEVELS.items(), found.level)
    tone = rx.match(found.level, ("error", "bad"), ("warning", "warm"), "plain")
    place = button(
        rx.fragment(before, found.line.to(str), after),
        kind="quiet",
        small=True,
        on_click=ScriptsState.show_line(found.line),
    )
    return rx.el.li(
        rx.cond(found.line > 0, place),
        badge(level, tone=tone),
        rx.el.span(found.message),
        rx.el.code(found.code, class_name="soft"),
    )
