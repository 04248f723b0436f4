"""One template: its head, its tabs, and the first tab."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel, table
from lxc_dashboard.components.controls import badge, link, link_button
from lxc_dashboard.components.widgets import confirm_button, more
from lxc_dashboard.pages.shell import page
from lxc_dashboard.pages.templates import detail_parts as parts
from lxc_dashboard.pages.templates import history
from lxc_dashboard.pages.templates.archives import export_button
from lxc_dashboard.pages.templates.marks import findings, mark, tags
from lxc_dashboard.state.templates.built_containers import TemplateContainersState
from lxc_dashboard.state.templates.detail import Tab, TemplateState
from lxc_dashboard.state.templates.detail_rows import ConfigRow
from lxc_dashboard.state.templates.revisions import TemplateRevisionsState
from lxc_dashboard.state.templates.rights import AuthoringState


def _actions() -> rx.Component:
    """Changes are shown to authors; the services check the privilege."""
    state = TemplateState
    return rx.cond(
        state.phase == "ready",
        rx.fragment(
            more(
                export_button(rx.Var.create([state.template_id])),
                rx.cond(AuthoringState.may_author & ~state.deleted, rx.fragment(_delete(), _edit())),
            ),
            rx.cond(state.create_href != "", link_button(text.CREATE_CONTAINER, state.create_href, kind="primary")),
        ),
    )


def _edit() -> rx.Component:
    return link_button(rx.cond(TemplateState.owned, text.EDIT_TEMPLATE, text.EDIT_COPY), TemplateState.edit_href)


def _delete() -> rx.Component:
    return rx.cond(
        TemplateState.owned,
        confirm_button(
            text.DELETE_TEMPLATE,
            title=TemplateState.delete_title,
            consequence=text.DELETE_TEMPLATE_CONSEQUENCE,
            verb=text.DELETE_TEMPLATE,
            ask=TemplateState.delete_ask,
            expected=TemplateState.name,
            on_typed=TemplateState.delete,
        ),
    )


@page(
    routes.TEMPLATE,
    TemplateState.name,
    tab_title=text.TEMPLATE,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=[TemplateState.load, AuthoringState.ask, TemplateRevisionsState.load, TemplateContainersState.load],
    of=TemplateState,
    actions=_actions,
)
def template() -> rx.Component:
    return page_states(TemplateState, _template, missing=gone(TemplateState.problem), retry=TemplateState.load)


def gone(problem: Any) -> rx.Component:
    """The page of a template or revision that does not exist."""
    return missing_block(problem.cause, text.MISSING_TEMPLATE_DETAIL, text.ALL_TEMPLATES, routes.TEMPLATES)


def _template() -> rx.Component:
    return rx.el.div(
        rx.foreach(TemplateState.troubles, lambda trouble: note(trouble, tone="warm")),
        rx.cond(TemplateState.number != TemplateState.current, _older()),
        rx.el.div(
            rx.cond(TemplateState.description != "", rx.el.p(TemplateState.description)),
            tags(
                TemplateState.tags,
                badge(rx.Var.create("r") + TemplateState.number.to(str), tone="accent"),
                badge(TemplateState.source),
                rx.foreach(TemplateState.marks, mark),
            ),
            class_name="stack-small",
        ),
        rx.el.nav(
            rx.foreach(TemplateState.tabs, _tab),
            class_name="tabs",
            aria_label=text.TEMPLATE,
        ),
        rx.match(
            TemplateState.tab,
            ("scripts", parts.scripts()),
            ("packages", parts.packages()),
            ("files", parts.files()),
            ("revisions", history.revisions()),
            ("containers", history.containers()),
            _config(),
        ),
        class_name="stack",
    )


def _older() -> rx.Component:
    before, _, rest = text.OLDER_REVISION.partition("{number}")
    between, _, after = rest.partition("{current}")
    return note(
        rx.el.span(before, "r", TemplateState.number, between, "r", TemplateState.current, after),
        rx.el.span(
            link(text.SHOW_CURRENT, TemplateState.current_href),
            link(text.COMPARE_CURRENT, TemplateState.compare_href),
            class_name="row",
        ),
        tone="warm",
    )


def _tab(tab: rx.Var[Tab]) -> rx.Component:
    is_it = tab.name == TemplateState.tab
    return link(
        rx.fragment(tab.label, rx.cond(tab.count != "", rx.el.span(tab.count, class_name="tab-count num"))),
        tab.href,
        class_name=rx.cond(is_it, "tab current", "tab"),
        aria_current=rx.cond(is_it, "page", "false"),
    )


def _config() -> rx.Component:
    return rx.el.div(
        panel(
            text.FINDINGS,
            rx.cond(
                TemplateState.findings.length() > 0,
                findings(TemplateState.findings),
                rx.el.p(text.NO_FINDINGS, class_name="soft"),
            ),
        ),
        table(
            [text.FIELD, text.VALUE, (text.IN_PVE, "wide")], rx.foreach(TemplateState.config, _field), label=text.CONFIG
        ),
        class_name="stack",
    )


def _field(row: rx.Var[ConfigRow]) -> rx.Component:
    value = rx.fragment(row.value, rx.cond(row.unit != "", rx.fragment(" ", row.unit)))
    return rx.el.tr(
        rx.el.th(row.label, scope="row", class_name="row-head"),
        rx.el.td(rx.cond(row.tone != "", rx.el.span(value, class_name="badge " + row.tone), value), class_name="wrap"),
        rx.el.td(row.meaning, class_name="wrap soft wide"),
    )
