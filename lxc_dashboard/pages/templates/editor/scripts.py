"""The editor's scripts in the order of their run, the open script, and ShellCheck's findings beside its lines."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.code import CodeFinding, code
from lxc_dashboard.components.controls import badge, button, icon
from lxc_dashboard.pages.templates.editor.fields import error_of, fault_mark, flag_field, remove_button, text_field
from lxc_dashboard.pages.templates.editor.guide import sortable
from lxc_dashboard.state.templates.editor.page import EditorState
from lxc_dashboard.state.templates.editor.scripts import ScriptRow, ScriptsState

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
