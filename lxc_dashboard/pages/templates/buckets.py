"""Shared package buckets: the list at the left, the open bucket at the right. A narrow screen shows one of them."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, note, page_states, table
from lxc_dashboard.components.controls import badge, button, icon, link, link_button
from lxc_dashboard.components.list_parts import list_keys
from lxc_dashboard.components.widgets import ago, confirm_button
from lxc_dashboard.pages.shell import page
from lxc_dashboard.pages.templates.bucket_form import FORM_ID, bucket_form, bucket_guide, bucket_list
from lxc_dashboard.state.templates.bucket_work import NEW, BucketRow, UseRow
from lxc_dashboard.state.templates.buckets import BucketsState
from lxc_dashboard.state.templates.rights import AuthoringState

TITLE_ID: Final = "bucket-title"


def _new_bucket() -> rx.Component:
    may = AuthoringState.may_author & (BucketsState.chosen != NEW)
    return rx.cond(may, link_button(text.BUCKET_NEW, routes.bucket(NEW)))


@page(
    routes.BUCKETS,
    text.BUCKETS,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=[BucketsState.load, AuthoringState.ask],
    actions=_new_bucket,
)
def buckets() -> rx.Component:
    return rx.el.div(list_keys(), page_states(BucketsState, _columns, empty=_no_buckets, retry=BucketsState.load))


def _no_buckets() -> rx.Component:
    return rx.el.div(
        empty_block(text.BUCKETS_NONE, text.BUCKETS_NONE_NEXT, _new_bucket()),
        rx.cond(AuthoringState.may_author, rx.fragment(), _read_only()),
    )


def _read_only() -> rx.Component:
    # PVE is asked in the background: what its answer may take away is not shown before.
    return rx.el.div(note(text.BUCKET_READ_ONLY), class_name="late")


def _columns() -> rx.Component:
    chosen = BucketsState.chosen != ""
    return rx.el.div(
        _list(),
        rx.cond(chosen, rx.el.section(_opened(), aria_label=BucketsState.label, class_name="stack"), _none_chosen()),
        class_name=rx.cond(chosen, "bucket-columns chosen", "bucket-columns"),
    )


def _list() -> rx.Component:
    return rx.el.div(rx.cond(BucketsState.total > 0, _found()), class_name="bucket-list")


def _found() -> rx.Component:
    head = [text.BUCKET, (text.PACKAGES, "num"), (text.NAV_TEMPLATES, "num")]
    return rx.el.div(
        rx.el.input(
            type="search",
            class_name="input",
            placeholder=text.BUCKETS_FILTER_HINT,
            aria_label=text.BUCKETS_FILTER,
            default_value=BucketsState.query,
            on_change=BucketsState.search.debounce(80),
        ),
        rx.cond(
            BucketsState.rows.length() > 0,
            table(head, rx.foreach(BucketsState.rows, _row), label=text.BUCKETS),
            rx.el.p(text.BUCKETS_NO_MATCH, class_name="soft"),
        ),
        class_name="stack-small",
    )


def _row(row: rx.Var[BucketRow]) -> rx.Component:
    current = BucketsState.chosen == row.id
    return rx.el.tr(
        rx.el.td(
            link(
                rx.fragment(row.name, rx.el.span(".", row.manager, class_name="soft")),
                row.href,
                class_name="mono",
                aria_current=rx.cond(current, "true", "false"),
            ),
            rx.cond(row.unsaved, rx.fragment(" ", badge(text.BUCKET_UNSAVED, tone="warm"))),
            class_name="wrap",
        ),
        rx.el.td(row.packages, class_name="num"),
        rx.el.td(row.templates, class_name="num"),
        class_name=rx.cond(current, "current", ""),
        custom_attrs={"data-line": "true"},
        key=row.id,
    )


def _none_chosen() -> rx.Component:
    return rx.el.div(
        rx.cond(BucketsState.gone, note(text.BUCKET_GONE, tone="warm")),
        rx.el.p(text.BUCKET_CHOOSE, class_name="soft"),
        rx.cond(AuthoringState.may_author, rx.fragment(), _read_only()),
        class_name="stack-small bucket-none",
    )


def _opened() -> rx.Component:
    return rx.fragment(
        link(rx.fragment(icon("arrow-left"), text.BUCKETS_ALL), routes.BUCKETS, class_name="bucket-back"),
        rx.el.div(
            rx.el.h2(BucketsState.label, class_name="bucket-title", id=TITLE_ID, tab_index=-1),
            rx.cond(BucketsState.unsaved, badge(text.BUCKET_UNSAVED, tone="warm")),
            rx.cond(BucketsState.updated_by != "", _changed()),
            class_name="row",
        ),
        rx.cond(AuthoringState.may_author, rx.fragment(bucket_form(), _foot()), _reading()),
        rx.cond(BucketsState.chosen != NEW, _uses()),
        bucket_guide(
            FORM_ID,
            title=TITLE_ID,
            opened=BucketsState.chosen,
            refusals=BucketsState.refusals,
            unsaved=BucketsState.unsaved,
        ),
    )


def _changed() -> rx.Component:
    before, _, after = text.BUCKET_CHANGED.partition("{userid}")
    return rx.el.span(before, BucketsState.updated_by, after, " ", ago(BucketsState.updated_at), class_name="soft")


def _reading() -> rx.Component:
    return rx.fragment(_read_only(), rx.cond(BucketsState.chosen != NEW, bucket_list()))


def _foot() -> rx.Component:
    is_new = BucketsState.chosen == NEW
    return rx.el.div(
        button(
            rx.cond(is_new, text.BUCKET_CREATE, text.BUCKET_SAVE),
            kind="primary",
            type="submit",
            form=FORM_ID,
            disabled=BucketsState.overtaken != "",
        ),
        rx.cond(BucketsState.unsaved, _discard()),
        rx.el.span(class_name="grow"),
        rx.cond(is_new, rx.fragment(), _delete()),
        class_name="row",
    )


def _discard() -> rx.Component:
    return confirm_button(
        text.BUCKET_DISCARD,
        title=_with_name(text.BUCKET_DISCARD_TITLE, BucketsState.label),
        consequence=text.BUCKET_DISCARD_MEANS,
        verb=text.BUCKET_DISCARD,
        kind="plain",
        on_confirm=BucketsState.discard,
    )


def _delete() -> rx.Component:
    return confirm_button(
        text.BUCKET_DELETE,
        title=_with_name(text.BUCKET_DELETE_TITLE, BucketsState.label),
        consequence=BucketsState.delete_means,
        verb=text.BUCKET_DELETE,
        ask=_with_name(text.BUCKET_DELETE_ASK, BucketsState.saved_name),
        expected=BucketsState.saved_name,
        on_typed=BucketsState.delete,
    )


def _uses() -> rx.Component:
    return rx.el.section(
        rx.el.h3(text.BUCKET_USED_BY, class_name="panel-title"),
        rx.cond(
            BucketsState.used != "",
            rx.el.ul(rx.foreach(BucketsState.uses, _use), class_name="bucket-uses"),
            rx.el.p(text.BUCKET_UNUSED, class_name="soft"),
        ),
        class_name="stack-small",
    )


def _use(use: rx.Var[UseRow]) -> rx.Component:
    return rx.el.li(link(use.name, use.href), " ", rx.el.span(use.note, class_name="soft"))


def _with_name(sentence: str, name: Any) -> Any:
    before, _, after = sentence.partition("{name}")
    return before + name + after
