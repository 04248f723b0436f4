"""The tabs of scripts, packages and files: the list, and the chosen item."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import table
from lxc_dashboard.components.code import code
from lxc_dashboard.components.controls import badge, icon, link, native_link
from lxc_dashboard.components.widgets import copy_button, size
from lxc_dashboard.pages.templates.marks import mark
from lxc_dashboard.state.templates.detail import TemplateState
from lxc_dashboard.state.templates.detail_rows import BucketRow, FileRow, PackageRow, ScriptRow


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
    """The chosen text, to copy and download."""
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
