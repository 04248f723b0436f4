"""One template, with the tabs overview, scripts, packages and files. Each tab shows the chosen item."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel, table
from lxc_dashboard.components.code import code
from lxc_dashboard.components.controls import badge, icon, link, link_button, native_link
from lxc_dashboard.components.widgets import confirm_button, copy_button, more, size
from lxc_dashboard.pages.shell import page
from lxc_dashboard.pages.templates import history
from lxc_dashboard.pages.templates.template_list import export_button, findings, mark, tags
from lxc_dashboard.state.templates.detail import (
    BucketRow,
    ConfigRow,
    FileRow,
    PackageRow,
    ScriptRow,
    Tab,
    TemplateContainersState,
    TemplateState,
)
from lxc_dashboard.state.templates.revisions import TemplateRevisionsState
from lxc_dashboard.state.templates.rows import AuthoringState


def scripts() -> rx.Component:
    return rx.cond(
        TemplateState.scripts.length() > 0,
        rx.el.div(
            rx.el.ol(
                rx.foreach(TemplateState.scripts, _script), class_name="tree plain-list", aria_label=text.SCRIPTS_ORDER
            ),
            _shown(),
            class_name="template-columns",
        ),
        _none(text.NO_SCRIPTS_HERE),
    )


def _script(row: rx.Var[ScriptRow]) -> rx.Component:
    chosen = TemplateState.shown.name == row.name
    return rx.el.li(
        link(
            rx.fragment(
                rx.el.span(row.number, ". ", row.name, class_name="tree-name"),
                rx.cond(row.about != "", rx.el.span(row.about, class_name="tree-note")),
                rx.cond(row.marks.length() > 0, rx.el.span(rx.foreach(row.marks, mark), class_name="tags")),
            ),
            row.href,
            class_name=rx.cond(chosen, "tree-entry current", "tree-entry"),
            aria_current=rx.cond(chosen, "true", "false"),
        )
    )


def _shown() -> rx.Component:
    """The chosen text, with buttons to copy and download it."""
    shown = TemplateState.shown
    return rx.el.section(
        rx.el.div(
            rx.el.h2(shown.name, class_name="panel-title mono grow"),
            rx.cond(shown.note == "", copy_button(shown.body)),
            native_link(icon("download", 14), text.DOWNLOAD, href=shown.download_href, class_name="button quiet small"),
            class_name="panel-head row",
        ),
        rx.cond(
            shown.note == "",
            code(shown.body, name=shown.key, label=shown.name, language=shown.language),
            rx.el.p(shown.note, class_name="soft"),
        ),
        rx.cond(
            shown.sha256 != "",
            rx.el.p("SHA-256 ", rx.el.code(shown.sha256, class_name="break"), class_name="soft hash"),
        ),
        class_name="panel",
    )


def packages() -> rx.Component:
    return rx.cond(
        TemplateState.buckets.length() > 0,
        rx.el.div(rx.foreach(TemplateState.buckets, _bucket), class_name="stack"),
        _none(text.NO_PACKAGES_HERE),
    )


def _bucket(bucket: rx.Var[BucketRow]) -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(bucket.name, class_name="panel-title"),
            badge(bucket.manager, tone="accent"),
            rx.cond(bucket.shared, rx.el.span(text.SHARED_BUCKET, class_name="badge", title=text.SHARED_BUCKET_NOTE)),
            rx.el.span(bucket.counted, class_name="soft grow"),
            copy_button(bucket.listing),
            class_name="panel-head row",
        ),
        rx.cond(
            bucket.custom,
            table(
                [text.PACKAGE, text.INSTALLED_UNLESS, text.INSTALLED_BY, (text.AT_MOST, "num")],
                rx.foreach(bucket.packages, _custom_package),
                label=text.PACKAGES,
            ),
            rx.el.ul(
                rx.foreach(bucket.packages, lambda package: rx.el.li(rx.el.code(package.spec))),
                class_name="package-list",
            ),
        ),
        class_name="panel",
    )


def _custom_package(package: rx.Var[PackageRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(rx.el.code(package.spec), scope="row", class_name="row-head"),
        rx.el.td(rx.el.code(package.check), class_name="wrap"),
        rx.el.td(rx.el.code(package.install), class_name="wrap"),
        rx.el.td(package.timeout, class_name="num"),
    )


def files() -> rx.Component:
    head: list[Any] = [
        text.FILE,
        text.TARGET,
        (text.POLICY, "wide"),
        (text.MODE, "wide"),
        (text.OWNER, "wide"),
        (text.SIZE, "num"),
        text.CONTENT,
    ]
    return rx.cond(
        TemplateState.files.length() > 0,
        rx.el.div(table(head, rx.foreach(TemplateState.files, _file), label=text.FILES), _shown(), class_name="stack"),
        _none(text.NO_FILES_HERE),
    )


def _file(row: rx.Var[FileRow]) -> rx.Component:
    chosen = TemplateState.shown.name == row.target
    return rx.el.tr(
        rx.el.th(
            link(row.name, row.href, aria_current=rx.cond(chosen, "true", "false")), scope="row", class_name="row-head"
        ),
        rx.el.td(rx.el.code(row.target)),
        rx.el.td(row.policy, title=row.policy_note, class_name="wide"),
        rx.el.td(rx.el.code(row.mode), class_name="wide"),
        rx.el.td(row.owner, class_name="wide"),
        rx.el.td(size(row.size), class_name="num"),
        rx.el.td(row.kind),
        class_name=rx.cond(chosen, "current", ""),
    )


def _none(message: str) -> rx.Component:
    return rx.el.p(message, class_name="soft")


def _actions() -> rx.Component:
    """Shows changes to authors only. The services check the privilege."""
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
            ("scripts", scripts()),
            ("packages", packages()),
            ("files", files()),
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
