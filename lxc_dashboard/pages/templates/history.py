"""The tabs of revisions, their differences in blocks with signs and colours, and the containers built from the template."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import empty_block, note, page_states, table
from lxc_dashboard.components.controls import badge, button, field, link, mono, status_dot
from lxc_dashboard.components.widgets import ago, dialog
from lxc_dashboard.state.templates.detail import BuiltRow, TemplateContainersState, TemplateState
from lxc_dashboard.state.templates.revisions import NOTE_CHARS, DiffBlock, DiffLine, RevisionRow, TemplateRevisionsState
from lxc_dashboard.state.templates.rows import AuthoringState


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


NOTE_ID = "restore-note"


def revisions() -> rx.Component:
    state = TemplateRevisionsState
    return page_states(state, _revisions, empty=_nothing_built, retry=state.load)


def _revisions() -> rx.Component:
    state = TemplateRevisionsState
    head = [
        text.REVISION,
        text.NOTE,
        (text.AUTHOR, "wide"),
        text.WHEN,
        rx.el.span(text.ACTIONS, class_name="unseen"),
    ]
    return rx.el.div(
        _compare(),
        rx.cond(
            state.title != "",
            rx.el.section(
                rx.el.h2(state.title, class_name="panel-title", role="status"),
                rx.cond(state.blocks.length() > 0, difference(state.blocks)),
                class_name="stack-small compared",
            ),
        ),
        table(head, rx.foreach(state.rows, _revision), label=text.REVISIONS),
        _restore(),
        class_name="stack",
    )


def _compare() -> rx.Component:
    state = TemplateRevisionsState
    return rx.cond(
        state.numbers.length() > 1,
        rx.el.div(
            _side("old", text.COMPARE_FROM, state.old),
            _side("new", text.COMPARE_TO, state.new),
            rx.cond(
                state.title != "",
                button(text.COMPARE_SWAP, kind="quiet", small=True, on_click=state.swap),
                rx.el.span(text.COMPARE_HINT, class_name="soft"),
            ),
            class_name="compare",
        ),
    )


def _side(name: str, label: str, value: Any) -> rx.Component:
    state = TemplateRevisionsState
    return rx.el.label(
        label,
        rx.el.select(
            rx.cond(value == "", rx.el.option(text.COMPARE_NONE, value="")),
            rx.foreach(state.numbers, lambda number: rx.el.option("r" + number, value=number)),
            class_name="select",
            value=value,
            on_change=state.compare(name),
        ),
    )


def _revision(row: rx.Var[RevisionRow]) -> rx.Component:
    is_current = row.number == TemplateRevisionsState.current
    return rx.el.tr(
        rx.el.th(
            rx.el.span(
                link(rx.fragment("r", row.number), row.href, title=text.VIEW_REVISION),
                rx.cond(is_current & ~TemplateState.deleted, badge(text.CURRENT_REVISION, tone="accent")),
                class_name="tags",
            ),
            scope="row",
            class_name="row-head",
        ),
        rx.el.td(row.note, class_name="wrap"),
        rx.el.td(mono(row.author), class_name="wide"),
        rx.el.td(ago(row.at)),
        rx.el.td(_revision_acts(row, is_current)),
        key=row.number,
    )


def _revision_acts(row: rx.Var[RevisionRow], is_current: rx.Var[bool]) -> rx.Component:
    return rx.el.span(
        rx.cond(row.change_href != "", _row_link(text.WHAT_IT_CHANGED, row.change_href, row)),
        rx.cond(row.compare_href != "", _row_link(text.CHANGED_SINCE, row.compare_href, row)),
        rx.cond(
            AuthoringState.may_author & TemplateState.owned & (~is_current | TemplateState.deleted),
            button(
                text.RESTORE,
                small=True,
                aria_label=text.RESTORE + " r" + row.number.to(str),
                on_click=TemplateRevisionsState.ask_restore(row.number),
            ),
        ),
        class_name="row acts",
    )


def _row_link(label: str, href: Any, row: rx.Var[RevisionRow]) -> rx.Component:
    return link(label, href, aria_label=label + ", r" + row.number.to(str))


def _restore() -> rx.Component:
    state = TemplateRevisionsState
    return dialog(
        rx.el.form(
            rx.el.p(text.RESTORE_CONSEQUENCE, class_name="dialog-text"),
            field(
                text.RESTORE_NOTE,
                rx.el.input(id=NOTE_ID, name="note", class_name="input", max_length=NOTE_CHARS, auto_complete="off"),
                hint=text.RESTORE_NOTE_HINT,
                field_id=NOTE_ID,
            ),
            rx.el.div(rx.cond(state.refusal != "", note(state.refusal, tone="bad")), role="alert"),
            rx.el.div(
                button(text.CANCEL, on_click=state.ask_restore(0)),
                button(text.RESTORE, kind="primary", type="submit", disabled=state.acting),
                class_name="dialog-actions",
            ),
            on_submit=state.restore,
        ),
        is_open=state.restoring > 0,
        title=rx.Var.create(text.RESTORE_TITLE + " r") + state.restoring.to(str) + "?",
        on_close=state.ask_restore(0),
    )


def containers() -> rx.Component:
    state = TemplateContainersState
    return page_states(state, _containers, empty=_nothing_built, retry=state.load)


def _nothing_built() -> rx.Component:
    return empty_block(text.NOTHING_BUILT, text.NOTHING_BUILT_NEXT)


def _containers() -> rx.Component:
    state = TemplateContainersState
    head = [
        text.JOB_NAME,
        (text.CT, "num"),
        (text.STATE, "wide"),
        (text.NODE, "wide"),
        text.REVISION,
        (text.BUILT_AT, "wide"),
        rx.el.span(text.ACTIONS, class_name="unseen"),
    ]
    return rx.el.div(
        rx.cond(state.unseen != "", note(state.unseen)),
        rx.cond(state.summary != "", rx.el.p(state.summary, class_name="soft")),
        rx.cond(state.rows.length() > 0, table(head, rx.foreach(state.rows, _container), label=text.BUILT_FROM)),
        class_name="stack",
    )


def _container(row: rx.Var[BuiltRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(
            rx.el.span(status_dot(row.dot), link(row.name, row.href), class_name="row"),
            rx.cond(row.renamed != "", rx.el.span(row.renamed, class_name="soft")),
            scope="row",
            class_name="row-head",
        ),
        rx.el.td(mono(row.vmid), class_name="num"),
        rx.el.td(row.status, class_name="wide"),
        rx.el.td(mono(row.node), class_name="wide"),
        rx.el.td(
            rx.el.span(
                row.revision, rx.cond(row.older, badge(text.BUILT_OLDER_MARK, tone="warm")), class_name="row acts"
            )
        ),
        rx.el.td(ago(row.created_at), class_name="wide"),
        rx.el.td(
            rx.cond(
                row.older,
                link(text.WHAT_WOULD_CHANGE, row.change_href, aria_label=text.WHAT_WOULD_CHANGE + ": " + row.name),
            )
        ),
        key=row.vmid,
    )
