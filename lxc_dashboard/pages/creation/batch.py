"""The page of a batch: its jobs, live, and the actions on all of them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, table
from lxc_dashboard.components.controls import button, link, link_button, mono
from lxc_dashboard.components.job_parts import elapsed, job_state, progress_bar, watch
from lxc_dashboard.components.widgets import ago, confirm_button
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.creation.batch import BatchRow, BatchState


def _actions() -> rx.Component:
    busy = BatchState.acting != ""
    return rx.el.div(
        rx.cond(
            BatchState.own & (BatchState.failed > 0),
            button(text.BATCH_RETRY, kind="primary", on_click=BatchState.retry_failed, disabled=busy),
        ),
        rx.cond(
            BatchState.running > 0,
            confirm_button(
                text.BATCH_CANCEL,
                title=BatchState.cancel_title,
                consequence=text.BATCH_CANCEL_CONSEQUENCE,
                verb=text.BATCH_CANCEL_VERB,
                cancel=text.DO_NOT_CANCEL,
                on_confirm=BatchState.cancel_all,
                disabled=busy,
            ),
        ),
        class_name="row",
    )


@page(
    routes.BATCH,
    BatchState.pattern,
    tab_title=text.BATCH,
    crumbs=((text.NAV_JOBS, routes.JOBS),),
    on_load=BatchState.load,
    of=BatchState,
    actions=_actions,
)
def batch() -> rx.Component:
    return rx.fragment(
        watch(BatchState.tick, on_watch=BatchState.watch, on_tick=BatchState.follow, on_leave=BatchState.leave),
        page_states(BatchState, _batch, missing=_missing(), retry=BatchState.load),
    )


def _missing() -> rx.Component:
    return missing_block(text.MISSING_BATCH, text.MISSING_BATCH_DETAIL, text.ALL_JOBS_THERE, routes.JOBS)


def _batch() -> rx.Component:
    return rx.el.div(_head(), _outcome(), _rows(), class_name="stack")


def _head() -> rx.Component:
    counts = (
        (BatchState.ready, "running", text.BATCH_READY),
        (BatchState.running, "changing", text.BATCH_RUNNING),
        (BatchState.failed, "error", text.BATCH_FAILED),
        (BatchState.ended, "stopped", text.BATCH_ENDED),
    )
    return rx.el.div(
        rx.el.div(
            *(_count(number, dot, word) for number, dot, word in counts),
            rx.el.span(f"{text.BATCH_OF} ", BatchState.total, class_name="soft"),
            rx.el.span(f"{text.BY_USER} ", mono(BatchState.userid), class_name="soft"),
            ago(BatchState.created_at),
            rx.cond(BatchState.acting != "", rx.el.span(BatchState.acting, role="status")),
            class_name="job-facts",
            role="group",
            aria_label=text.BATCH_TOTALS,
        ),
        rx.cond(BatchState.running > 0, progress_bar(BatchState.percent)),
    )


def _count(number: Any, dot: str, word: str) -> rx.Component:
    return rx.cond(number > 0, job_state(dot, rx.el.strong(number, " ", word)))


def _outcome() -> rx.Component:
    over = BatchState.running == 0
    return rx.fragment(
        rx.cond(
            over & (BatchState.ready == BatchState.total),
            note(text.BATCH_ALL_READY, " ", link_button(text.OPEN_IN_LIST, routes.CONTAINERS)),
        ),
        rx.cond(BatchState.failed > 0, note(text.BATCH_FAILED_NEXT, tone="bad")),
        rx.cond(BatchState.hidden > 0, note(BatchState.hidden, " ", text.BATCH_HIDDEN, tone="warm")),
    )


def _rows() -> rx.Component:
    head = [
        text.JOB_STATE,
        (text.PERCENT, "num wide"),
        text.JOB_NAME,
        (text.CT, "num wide"),
        text.ADDRESS,
        (text.NODE, "wide"),
        (text.TOOK, "num wide"),
        (text.BATCH_CAUSE, "wide"),
    ]
    return table(head, rx.foreach(BatchState.rows, _row), label=text.BATCH_CONTAINERS)


def _cause_below(row: rx.Var[BatchRow]) -> rx.Component:
    """The cause, shown only on phones, where the table has no column for it."""
    return rx.cond(row.cause != "", rx.el.div(row.cause, class_name="narrow batch-cause"))


def _row(row: rx.Var[BatchRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(job_state(row.dot, row.word), _cause_below(row)),
        rx.el.td(row.percent, " %", class_name="num wide"),
        rx.el.td(link(row.name, row.href)),
        rx.el.td(rx.cond(row.lost, "", mono(row.vmid)), class_name="num wide"),
        rx.el.td(mono(row.address)),
        rx.el.td(mono(row.node), class_name="wide"),
        rx.el.td(elapsed(row.seconds, row.ticking), class_name="num wide"),
        rx.el.td(row.cause, class_name="wide batch-cause", title=row.cause),
        key=row.id,
    )
