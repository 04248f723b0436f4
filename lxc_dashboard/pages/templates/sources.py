"""The sources of templates: the list, the open source with its last report, and the form of a git source."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, note, page_states, panel, table
from lxc_dashboard.components.controls import badge, button, link, link_button, mono
from lxc_dashboard.components.widgets import ago, confirm_button, copy_button
from lxc_dashboard.pages.shell import page
from lxc_dashboard.pages.templates.source_form import source_form
from lxc_dashboard.state.templates.rights import AuthoringState
from lxc_dashboard.state.templates.source_rows import Brought, RefusedLine, SourceRow
from lxc_dashboard.state.templates.sources import NEW, SourcesState

OPENED: Final = SourcesState.opened


def _add() -> rx.Component:
    """Hidden while a form is open, which has the page's primary button."""
    return rx.cond(
        AuthoringState.may_author & (SourcesState.chosen != NEW) & ~SourcesState.editing,
        link_button(text.SOURCE_ADD, routes.source(NEW), kind="primary"),
    )


@page(
    routes.SOURCES,
    text.SOURCES,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=[SourcesState.load, AuthoringState.ask],
    actions=_add,
)
def sources() -> rx.Component:
    return page_states(SourcesState, _content, empty=_none, retry=SourcesState.load)


def _none() -> rx.Component:
    gone = rx.cond(SourcesState.gone, note(text.SOURCE_GONE, tone="warm"))
    return rx.fragment(gone, empty_block(text.SOURCES_NONE, text.SOURCES_NONE_NEXT, _add()))


def _content() -> rx.Component:
    return rx.el.div(
        rx.cond(SourcesState.gone, note(text.SOURCE_GONE, tone="warm")),
        rx.cond(SourcesState.rows.length() > 0, _list()),
        rx.cond(
            (SourcesState.chosen == NEW) | SourcesState.editing,
            panel(_form_title(), source_form()),
            rx.cond(OPENED.id != "", _opened()),
        ),
        class_name="stack",
    )


def _list() -> rx.Component:
    head = [
        text.SOURCE_NAME,
        text.SOURCE_STATE,
        (text.SOURCE_KIND, "wide"),
        (text.SOURCE_LOCATION, "wide"),
        (text.NAV_TEMPLATES, "num wide"),
        (text.SOURCE_CHECKED, "wide"),
        rx.el.span(text.ACTIONS, class_name="unseen"),
    ]
    return table(head, rx.foreach(SourcesState.rows, _row), label=text.SOURCES)


def _row(row: rx.Var[SourceRow]) -> rx.Component:
    current = SourcesState.chosen == row.id
    return rx.el.tr(
        rx.el.td(link(row.name, row.href, aria_current=rx.cond(current, "true", "false"))),
        rx.el.td(badge(row.state, tone=row.tone)),
        rx.el.td(row.kind, class_name="wide"),
        rx.el.td(mono(row.location), class_name="wide wrap"),
        rx.el.td(
            rx.cond(row.missing != "", rx.fragment(badge(row.missing, tone="warm"), " ")),
            row.templates,
            class_name="num wide",
        ),
        rx.el.td(rx.cond(row.tried_at != "", ago(row.tried_at), text.SOURCE_NEVER), class_name="wide"),
        rx.el.td(rx.cond(AuthoringState.may_author & row.syncs, _sync(row.id, row.name, small=True)), class_name="num"),
        class_name=rx.cond(current, "current", ""),
        key=row.id,
    )


def _sync(source_id: Any, name: Any, *, small: bool = False) -> rx.Component:
    is_busy = SourcesState.busy.contains(source_id)
    return button(
        rx.cond(is_busy, text.SOURCE_SYNCING, text.SOURCE_SYNC),
        small=small,
        disabled=is_busy,
        aria_label=rx.cond(is_busy, text.SOURCE_SYNCING, text.SOURCE_SYNC) + " " + name,
        on_click=SourcesState.sync(source_id),
    )


def _form_title() -> Any:
    before, _, after = text.SOURCE_CHANGE_TITLE.partition("{name}")
    return rx.cond(SourcesState.chosen == NEW, text.SOURCE_ADD_TITLE, before + OPENED.name + after)


def _opened() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(OPENED.name, class_name="panel-title grow"),
            rx.cond(AuthoringState.may_author, _acts(), rx.el.span(text.SOURCE_READ_ONLY, class_name="soft late")),
            class_name="row",
        ),
        rx.cond(OPENED.error != "", note(OPENED.error, tone="bad")),
        rx.cond(OPENED.is_git, _facts()),
        _report(),
        class_name="stack",
        aria_label=OPENED.name,
    )


def _acts() -> rx.Component:
    return rx.cond(
        OPENED.is_git,
        rx.fragment(
            rx.cond(~OPENED.removed, button(text.SOURCE_CHANGE, on_click=SourcesState.change)),
            _remove(),
        ),
    )


def _remove() -> rx.Component:
    return confirm_button(
        text.SOURCE_REMOVE,
        title=_named(text.SOURCE_REMOVE_TITLE),
        consequence=text.SOURCE_REMOVE_MEANS,
        verb=text.SOURCE_REMOVE,
        ask=_named(text.SOURCE_REMOVE_ASK),
        expected=OPENED.name,
        on_typed=SourcesState.remove,
    )


def _named(sentence: str) -> Any:
    before, _, after = sentence.partition("{name}")
    return before + OPENED.name + after


def _facts() -> rx.Component:
    return rx.el.dl(
        _fact(text.SOURCE_LOCATION, mono(OPENED.location)),
        _fact(text.SOURCE_REF, mono(OPENED.ref), shown=OPENED.ref != ""),
        _fact(text.SOURCE_SUBFOLDER, mono(OPENED.subfolder), shown=OPENED.subfolder != ""),
        _fact(text.SOURCE_COMMIT, mono(OPENED.commit), shown=OPENED.commit != ""),
        _fact(text.SOURCE_SCHEDULE, OPENED.schedule),
        _fact(text.SOURCE_OPENED, OPENED.access),
        _fact(text.SOURCE_HOST_KEY, mono(OPENED.host_key), shown=OPENED.host_key != ""),
        _fact(text.SOURCE_HOOK, rx.cond(OPENED.webhook != "", _hook(), text.SOURCE_HOOK_NONE)),
        class_name="facts",
    )


def _fact(name: str, value: Any, *, shown: Any = None) -> rx.Component:
    pair = rx.fragment(rx.el.dt(name, class_name="soft"), rx.el.dd(value, class_name="wrap"))
    return pair if shown is None else rx.cond(shown, pair)


def _hook() -> rx.Component:
    return rx.fragment(
        rx.el.span(mono(SourcesState.webhook_url), copy_button(SourcesState.webhook_url), class_name="row"),
        rx.el.p(text.SOURCE_HOOK_NOTE, class_name="soft"),
    )


def _report() -> rx.Component:
    something = (OPENED.brought.length() > 0) | (OPENED.refused.length() > 0)
    return rx.el.section(
        rx.el.div(
            rx.el.h3(text.SOURCE_REPORT, class_name="panel-title"),
            rx.cond(OPENED.synced_at != "", rx.el.span(ago(OPENED.synced_at), class_name="soft")),
            class_name="row",
        ),
        rx.cond(
            OPENED.synced_at == "",
            rx.el.p(text.SOURCE_REPORT_NONE, class_name="soft"),
            rx.cond(something, _brought(), rx.el.p(text.SOURCE_REPORT_SAME, class_name="soft")),
        ),
        class_name="stack-small",
    )


def _brought() -> rx.Component:
    return rx.el.dl(
        rx.foreach(OPENED.brought, _line),
        rx.cond(
            OPENED.refused.length() > 0,
            rx.fragment(
                rx.el.dt(text.SOURCE_REPORT_WORDS["refused"], class_name="soft"),
                rx.el.dd(
                    rx.el.ul(rx.foreach(OPENED.refused, _refusal)),
                    rx.cond(OPENED.refused_more != "", rx.el.p(OPENED.refused_more, class_name="soft")),
                    class_name="wrap",
                ),
            ),
        ),
        class_name="facts",
    )


def _line(line: rx.Var[Brought]) -> rx.Component:
    return rx.fragment(rx.el.dt(line.word, class_name="soft"), rx.el.dd(line.names, class_name="wrap"))


def _refusal(line: rx.Var[RefusedLine]) -> rx.Component:
    return rx.el.li(rx.el.code(line.place), " ", line.why)
