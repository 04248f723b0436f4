"""The template editor: the parts of a template, stored as a draft while the user types, and saved as a revision."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import note, page_states
from lxc_dashboard.components.controls import badge, button
from lxc_dashboard.components.widgets import ago, confirm_button, dialog
from lxc_dashboard.pages.shell import page
from lxc_dashboard.pages.templates.detail import gone
from lxc_dashboard.pages.templates.editor.fields import area_field, flag_field, text_field
from lxc_dashboard.pages.templates.editor.guide import FORM_ID, SAVE_ID, guides, kept
from lxc_dashboard.pages.templates.editor.parts import files_part, packages_part, scripts_part
from lxc_dashboard.pages.templates.history import difference
from lxc_dashboard.pages.templates.template_list import findings
from lxc_dashboard.state.templates.editor.page import PARTS, EditorState
from lxc_dashboard.state.templates.editor.save import NOTE, SaveState


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


SAVE_DIALOG = "save-dialog"
_CONTENT = {"config": config_part, "scripts": scripts_part, "packages": packages_part, "files": files_part}


def _actions() -> rx.Component:
    before, _, after = text.DISCARD_TITLE.partition("{name}")
    discard = confirm_button(
        text.DISCARD_DRAFT,
        title=f"{before}{EditorState.form['name']}{after}",
        consequence=text.DISCARD_CONSEQUENCE,
        verb=text.DISCARD_DRAFT,
        kind="plain",
        on_confirm=SaveState.discard,
    )
    save = button(text.SAVE, kind="primary", id=SAVE_ID, on_click=SaveState.ask_save, disabled=SaveState.saving)
    typed = EditorState.dirty | (EditorState.keep_trouble != "")
    return rx.cond(EditorState.phase == "ready", rx.fragment(rx.cond(typed, discard), save))


@page(
    routes.TEMPLATE_NEW,
    text.EDITOR_NEW,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=EditorState.load,
    actions=_actions,
)
def template_new() -> rx.Component:
    return page_states(EditorState, _editor, missing=gone(EditorState.problem), retry=EditorState.load)


@page(
    routes.TEMPLATE_EDIT,
    EditorState.name,
    tab_title=text.EDITOR_EDIT,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=EditorState.load,
    of=EditorState,
    actions=_actions,
)
def template_edit() -> rx.Component:
    return page_states(EditorState, _editor, missing=gone(EditorState.problem), retry=EditorState.load)


def _editor() -> rx.Component:
    return rx.el.div(
        _standing(),
        rx.cond(SaveState.overtaken.number > 0, _overtaken()),
        rx.cond(
            SaveState.other_faults.length() > 0,
            note(text.SAVE_OTHER_FAULTS, rx.el.ul(rx.foreach(SaveState.other_faults, rx.el.li)), tone="bad"),
        ),
        _tabs(),
        rx.el.div(
            # All parts stay mounted, so that hidden parts keep their text.
            *(rx.el.div(_CONTENT[part](), hidden=EditorState.part != part) for part in PARTS),
            id=FORM_ID,
            class_name="editor-form",
        ),
        _save_dialog(),
        _compare_dialog(),
        guides(),
        class_name="stack editor",
    )


def _standing() -> rx.Component:
    """The template that is edited, and whether the draft is stored."""
    before, _, after = text.DRAFT_NOT_KEPT.partition("{why}")
    trouble = note(
        rx.el.span(before, EditorState.keep_trouble, after),
        rx.cond(
            EditorState.other_window,
            rx.el.div(
                button(text.DRAFT_KEEP_MINE, small=True, on_click=EditorState.keep_mine),
                button(text.DRAFT_TAKE_OTHER, small=True, on_click=EditorState.take_other),
                class_name="row",
            ),
            button(text.DRAFT_KEEP_AGAIN, small=True, on_click=EditorState.keep_again),
        ),
        tone="bad",
    )
    return rx.fragment(
        rx.el.p(
            rx.cond(EditorState.begun_from != "", badge(EditorState.begun_from, tone="accent")),
            rx.cond(EditorState.is_copy, rx.el.span(text.EDITOR_COPY_OF, class_name="soft")),
            rx.el.span(
                rx.cond(EditorState.kept_at != "", kept(), text.DRAFT_NOTHING), class_name="soft", id="draft-kept"
            ),
            class_name="row",
        ),
        rx.cond(EditorState.resumed, note(text.DRAFT_RESUMED)),
        rx.cond(EditorState.keep_trouble != "", rx.el.div(trouble, role="alert")),
    )


def _tabs() -> rx.Component:
    return rx.el.nav(*(_tab(part) for part in PARTS), class_name="editor-tabs", aria_label=text.EDITOR_PARTS_LABEL)


def _tab(part: str) -> rx.Component:
    title = text.EDITOR_PARTS[part]
    wrong, current = EditorState.invalid_parts.contains(part), EditorState.part == part
    count = [] if part == "config" else [rx.el.span(EditorState.counts[part].to(str), class_name="tab-count")]
    return rx.el.button(
        title,
        *count,
        rx.cond(wrong, rx.el.span("!", class_name="badge bad", aria_hidden=True)),
        rx.cond(wrong, rx.el.span(text.SAVE_OTHER_FAULTS, class_name="unseen")),
        type="button",
        class_name=rx.cond(current, "editor-tab current", "editor-tab"),
        aria_current=rx.cond(current, "true", "false"),
        on_click=EditorState.go(part),
    )


def _overtaken() -> rx.Component:
    found = SaveState.overtaken
    over = confirm_button(
        _named(text.OVERTAKEN_OVER),
        title=_named(text.OVERTAKEN_OVER_TITLE),
        consequence=_named(text.OVERTAKEN_OVER_CONSEQUENCE),
        verb=_named(text.OVERTAKEN_OVER),
        on_confirm=SaveState.save_over,
    )
    content = rx.el.div(
        rx.el.strong(_named(text.OVERTAKEN_TITLE)),
        " ",
        ago(found.at),
        rx.el.ul(rx.foreach(found.changes, rx.el.li), class_name="overtaken-changes"),
        rx.el.p(_named(text.OVERTAKEN_TAKE_HINT)),
        rx.el.div(
            button(text.OVERTAKEN_COMPARE, on_click=SaveState.compare),
            button(text.OVERTAKEN_TAKE, on_click=SaveState.take_over),
            over,
            class_name="row",
        ),
        class_name="stack-small",
    )
    return rx.el.div(note(content, tone="warm"), role="alert", id="overtaken")


def _named(words: str) -> rx.Var[str]:
    """The text ``words`` with number and author of the newer revision filled in."""
    found = SaveState.overtaken
    return (
        rx.Var.create(words.format(number="\0", author="\1"))
        .replace("\0", found.number.to(str))
        .replace("\1", found.author)
    )


def _save_dialog() -> rx.Component:
    before, _, after = text.SAVE_TITLE.partition("{name}")
    some = SaveState.blocks.length() > 0
    nothing = rx.cond(EditorState.is_new, text.SAVE_NEW, text.SAVE_NOTHING)
    return dialog(
        rx.el.form(
            rx.el.h3(text.SAVE_WHAT_CHANGES, class_name="field-label"),
            rx.cond(EditorState.is_new, rx.el.p(text.SAVE_NEW)),
            rx.cond(some, difference(SaveState.blocks), rx.el.p(nothing, class_name="soft")),
            rx.cond(
                SaveState.found.length() > 0,
                rx.fragment(rx.el.h3(text.FINDINGS, class_name="field-label"), findings(SaveState.found)),
            ),
            _save_note(),
            rx.el.div(
                button(text.CANCEL, on_click=SaveState.close_dialog),
                button(text.SAVE, kind="primary", type="submit", disabled=SaveState.saving),
                class_name="dialog-actions",
            ),
            on_submit=SaveState.save,
            class_name="stack-small",
            id=SAVE_DIALOG,
        ),
        is_open=SaveState.dialog == "save",
        title=f"{before}{EditorState.form['name']}{after}",
        on_close=SaveState.close_dialog,
    )


def _save_note() -> rx.Component:
    return rx.el.div(
        rx.el.label(text.SAVE_NOTE, html_for="save-note", class_name="field-label"),
        rx.el.textarea(
            id="save-note",
            name=NOTE,
            rows="2",
            default_value=SaveState.note,
            on_blur=SaveState.write_note,
            class_name="textarea save-note",
            aria_describedby="save-note-hint save-note-error",
        ),
        rx.el.span(text.SAVE_NOTE_HINT, class_name="field-hint", id="save-note-hint"),
        rx.el.span(SaveState.note_error, class_name="field-error", role="alert", id="save-note-error"),
        class_name="field",
    )


def _compare_dialog() -> rx.Component:
    some = SaveState.blocks.length() > 0
    return dialog(
        rx.cond(some, difference(SaveState.blocks), rx.el.p(text.SAVE_NOTHING, class_name="soft")),
        rx.el.div(button(text.CLOSE, on_click=SaveState.close_dialog), class_name="dialog-actions"),
        is_open=SaveState.dialog == "compare",
        title=_named(text.OVERTAKEN_COMPARE_TITLE),
        on_close=SaveState.close_dialog,
    )
