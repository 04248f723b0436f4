"""The list of templates, as a table or as cards, and parts that other pages of templates share.

The parts are marks, tags, findings, and the buttons for import and export, drawn by ``archives.js``::

    rx.cond(AuthoringState.may_author, import_button(on_done=TemplatesState.load))
    export_button(TemplatesState.chosen, small=True)
    export_button(rx.Var.create([TemplateState.template_id]))
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, page_states, panel, table
from lxc_dashboard.components.controls import badge, button, link, link_button
from lxc_dashboard.components.list_parts import layout_switch, list_keys, search_box
from lxc_dashboard.components.scripts import NoArgs, script
from lxc_dashboard.components.widgets import ago, more
from lxc_dashboard.pages.shell import page
from lxc_dashboard.services.templates.sources.archive import KINDS
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES
from lxc_dashboard.state.templates.rows import QUERY_CHARS, AuthoringState, Mark, Refused, TemplateRow
from lxc_dashboard.state.templates.template_list import TemplatesState

_ARCHIVES = script(__name__, "archives.js")


class ImportButton(rx.Component):
    """Uploads a file to ``address`` and shows the result; ``on_done``: called after a template was added or changed."""

    library = _ARCHIVES
    tag = "ImportButton"

    address: rx.Var[str] = field()
    label: rx.Var[str] = field()
    limit: rx.Var[int] = field()
    words: rx.Var[dict[str, str]] = field()
    on_done: NoArgs


class ExportButton(rx.Component):
    """Downloads the templates ``ids`` from ``address`` as one file."""

    library = _ARCHIVES
    tag = "ExportButton"

    address: rx.Var[str] = field()
    label: rx.Var[str] = field()
    ids: rx.Var[list[str]] = field()
    kinds: rx.Var[list[str]] = field()
    words: rx.Var[dict[str, str]] = field()
    small: rx.Var[bool] = field()


def import_button(*, on_done: Any, label: Any = text.IMPORT_TEMPLATES) -> rx.Component:
    """A button that opens the import dialog. Show it to authors only; the route checks the privilege."""
    return ImportButton.create(
        address=routes.TEMPLATE_IMPORT,
        label=label,
        limit=MAX_ARCHIVE_BYTES,
        words=dict(text.IMPORT_WORDS),
        on_done=on_done,
    )


def export_button(ids: Any, *, label: Any = text.EXPORT_TEMPLATES, small: bool = False) -> rx.Component:
    """A button that opens the dialog to download the templates ``ids`` as a zip or tar.gz."""
    return ExportButton.create(
        address=routes.TEMPLATE_EXPORT,
        label=label,
        ids=ids,
        kinds=list(KINDS),
        words=dict(text.EXPORT_WORDS),
        small=small,
    )


def refusal(refused: rx.Var[Refused]) -> rx.Component:
    """A list entry with place and reason."""
    return rx.el.li(rx.el.code(refused.place), " ", refused.why)


def findings(found: list[Refused]) -> rx.Component:
    """A list of the findings, each with its place. ``found`` is a var of a state."""
    return rx.el.ul(rx.foreach(found, refusal), class_name="findings")


def mark(shown: rx.Var[Mark]) -> rx.Component:
    """A property of a template: one word, explained on hover."""
    return rx.el.span(shown.word, class_name="badge " + shown.tone, title=shown.detail)


def tags(shown: Any, *more: rx.Component) -> rx.Component:
    return rx.el.span(rx.foreach(shown, badge), *more, class_name="tags")


def _actions() -> rx.Component:
    """Shows changes to authors only. The services check the privilege."""
    may_author = AuthoringState.may_author
    return rx.fragment(
        more(
            link_button(text.SOURCES, routes.SOURCES),
            link_button(text.BUCKETS, routes.BUCKETS),
            rx.cond(may_author, rx.fragment(_read_folders(), import_button(on_done=TemplatesState.load))),
        ),
        rx.cond(may_author, link_button(text.NEW_TEMPLATE, routes.TEMPLATE_NEW, kind="primary")),
    )


def _read_folders() -> rx.Component:
    return button(text.READ_FOLDERS, on_click=TemplatesState.read_folders)


@page(routes.TEMPLATES, text.NAV_TEMPLATES, on_load=[TemplatesState.load, AuthoringState.ask], actions=_actions)
def templates() -> rx.Component:
    listed = page_states(TemplatesState, _list, empty=_no_templates, retry=TemplatesState.load, kept=True)
    return rx.el.div(list_keys(), listed)


def _no_templates() -> rx.Component:
    return empty_block(text.NO_TEMPLATES, text.NO_TEMPLATES_NEXT, rx.cond(AuthoringState.may_author, _read_folders()))


def _list() -> rx.Component:
    return rx.el.div(
        _filters(),
        rx.cond(TemplatesState.chosen.length() > 0, _chosen(), _counted()),
        rx.cond(TemplatesState.refused.length() > 0, _refused()),
        rx.match(
            (TemplatesState.found > 0, TemplatesState.layout),
            ((True, "cards"), _cards()),
            ((True, "table"), _table()),
            _no_match(),
        ),
        _pages(),
        class_name="stack-small",
    )


def _filters() -> rx.Component:
    return rx.el.div(
        search_box(TemplatesState.q, label=text.SEARCH_TEMPLATES, chars=QUERY_CHARS, on_search=TemplatesState.search),
        _filter("tag", text.BY_TAG, text.ANY_TAG, TemplatesState.tag, TemplatesState.tags),
        _filter("source", text.BY_SOURCE, text.ANY_SOURCE, TemplatesState.source, TemplatesState.sources),
        _filter("os", text.BY_OS, text.ANY_OS, TemplatesState.os, TemplatesState.systems),
        rx.el.select(
            *(rx.el.option(label, value=key) for key, label in text.TEMPLATE_SORTS.items()),
            class_name="select",
            aria_label=text.SORT_TEMPLATES,
            value=TemplatesState.sort,
            on_change=TemplatesState.sort_by,
        ),
        layout_switch(TemplatesState.layout, on_choose=TemplatesState.lay_out, on_remembered=TemplatesState.remember),
        class_name="filter-row",
        role="search",
    )


def _filter(name: str, label: str, none: str, value: Any, values: Any) -> rx.Component:
    return rx.cond(
        (values.length() > 0) | (value != ""),
        rx.el.select(
            rx.el.option(none, value=""),
            rx.foreach(values, lambda found: rx.el.option(found, value=found)),
            class_name="select",
            aria_label=label,
            value=value,
            on_change=TemplatesState.narrow(name),
        ),
    )


def _counted() -> rx.Component:
    return rx.el.p(TemplatesState.counted, class_name="list-bar soft", role="status")


def _chosen() -> rx.Component:
    return rx.el.div(
        rx.el.span(TemplatesState.chosen.length(), " ", text.CHOSEN, class_name="num", role="status"),
        export_button(TemplatesState.chosen, small=True),
        button(text.CHOOSE_FOUND, small=True, on_click=TemplatesState.pick_found),
        button(text.CHOOSE_NONE, kind="quiet", small=True, on_click=TemplatesState.pick_none),
        class_name="list-bar row",
    )


def _refused() -> rx.Component:
    more = rx.cond(TemplatesState.refused_more > 0, rx.el.p(TemplatesState.refused_rest, class_name="soft"))
    return panel(text.REFUSED_TITLE, findings(TemplatesState.refused), more)


def _no_match() -> rx.Component:
    return rx.el.div(
        rx.el.p(text.NO_TEMPLATE_MATCHES),
        link(text.CLEAR_FILTER, TemplatesState.clear_href, class_name="button"),
        class_name="empty",
    )


# As a table


def _table() -> rx.Component:
    head = [
        rx.el.th(_pick_page(), class_name="pick"),
        _sorted_head("name", text.TEMPLATE),
        (text.DESCRIPTION, "about wide"),
        (text.TAGS, "wider"),
        _sorted_head("os", text.OS, "wide"),
        (text.HOLDS, "wider"),
        _sorted_head("source", text.SOURCE, "wide"),
        _sorted_head("containers", text.BUILT_FROM, "num"),
        (text.REVISION, "wide"),
        _sorted_head("updated", text.UPDATED, "wide"),
        (rx.el.span(text.ACTIONS, class_name="unseen"), "wide"),
    ]
    return table(head, rx.foreach(TemplatesState.rows, _row), label=text.NAV_TEMPLATES)


def _pick_page() -> rx.Component:
    return rx.el.input(
        type="checkbox",
        checked=TemplatesState.page_chosen,
        on_change=TemplatesState.pick_page,
        aria_label=text.CHOOSE_PAGE,
    )


def _sorted_head(key: str, label: str, class_name: str = "") -> rx.Component:
    is_it = TemplatesState.sort == key
    arrow = rx.cond(
        is_it,
        rx.el.span(rx.cond(TemplatesState.order == "ascending", " ↑", " ↓"), aria_hidden=True),
    )
    return rx.el.th(
        rx.el.button(label, arrow, type="button", class_name="sort", on_click=TemplatesState.sort_by(key)),
        scope="col",
        class_name=class_name,
        aria_sort=rx.cond(is_it, TemplatesState.order, "none"),
    )


def _row(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(_pick(row), class_name="pick"),
        rx.el.th(
            rx.el.span(link(row.name, row.href), rx.foreach(row.marks, mark), class_name="row-name"),
            scope="row",
            class_name="row-head",
        ),
        rx.el.td(rx.el.span(row.description, class_name="one-line", title=row.description), class_name="about wide"),
        rx.el.td(rx.el.span(rx.foreach(row.tags, badge), class_name="row-tags"), class_name="wider"),
        rx.el.td(row.os, class_name="wide"),
        rx.el.td(row.holds, class_name="wider"),
        rx.el.td(row.source, class_name="wide"),
        rx.el.td(_built(row), class_name="num"),
        rx.el.td(row.revision, class_name="wide"),
        rx.el.td(ago(row.updated_at), class_name="wide"),
        rx.el.td(_create_from(row), class_name="num wide"),
        key=row.id,
        custom_attrs={"data-line": row.id},
    )


def _pick(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.el.input(
        type="checkbox",
        checked=TemplatesState.chosen.contains(row.id),
        on_change=TemplatesState.pick(row.id),
        aria_label=text.CHOOSE_TEMPLATE + " " + row.name,
    )


def _built(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.cond(row.containers > 0, link(row.containers, row.containers_href), "0")


def _create_from(row: rx.Var[TemplateRow]) -> rx.Component:
    label = text.CREATE_CONTAINER + " " + row.name
    return link(text.CREATE, row.create_href, class_name="button plain small", title=label, aria_label=label)


# As cards


def _cards() -> rx.Component:
    return rx.el.ul(rx.foreach(TemplatesState.rows, _card), class_name="recipe-cards", aria_label=text.NAV_TEMPLATES)


def _card(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.h2(link(row.name, row.href), class_name="template-name"),
            rx.el.span(row.revision, class_name="soft"),
            _pick(row),
            class_name="recipe-head",
        ),
        rx.cond(row.marks.length() > 0, rx.el.span(rx.foreach(row.marks, mark), class_name="tags")),
        rx.el.p(row.description, class_name="recipe-about"),
        tags(row.tags),
        rx.el.p(row.os, rx.cond(row.os != "", " · ", ""), row.holds, class_name="soft"),
        rx.el.div(
            rx.el.span(row.source, " · ", _containers_of(row), class_name="soft grow"),
            _create_from(row),
            class_name="row recipe-foot",
        ),
        key=row.id,
        class_name="recipe-card",
        custom_attrs={"data-line": row.id},
    )


def _containers_of(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.cond(row.containers > 0, link(row.containers_text, row.containers_href), row.containers_text)


def _pages() -> rx.Component:
    state = TemplatesState
    return rx.cond(
        (state.newer_href != "") | (state.older_href != ""),
        rx.el.nav(
            rx.cond(state.newer_href != "", link(text.PREVIOUS_PAGE, state.newer_href, class_name="button plain")),
            rx.el.span(state.window, class_name="soft num"),
            rx.cond(state.older_href != "", link(text.NEXT_PAGE, state.older_href, class_name="button plain")),
            class_name="row list-pages",
            aria_label=text.TEMPLATE_PAGES,
        ),
    )
