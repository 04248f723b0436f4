"""All jobs that the user may see, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, note, page_states, table
from lxc_dashboard.components.controls import link, link_button, mono
from lxc_dashboard.components.job_parts import elapsed, job_name, job_state, watch
from lxc_dashboard.components.list_parts import search_box
from lxc_dashboard.components.widgets import ago
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.jobs.job_list import JobsState
from lxc_dashboard.state.jobs.rows import QUERY_CHARS, JobRow


def _new_container() -> rx.Component:
    return link_button(text.NEW_CONTAINER, routes.CREATE, kind="primary")


@page(routes.JOBS, text.NAV_JOBS, on_load=JobsState.load, actions=_new_container)
def jobs() -> rx.Component:
    return rx.fragment(
        watch(JobsState.tick, on_watch=JobsState.watch, on_tick=JobsState.follow, on_leave=JobsState.leave),
        rx.cond(JobsState.own_only, note(text.OWN_JOBS_ONLY, tone="warm")),
        page_states(JobsState, _list, empty=_no_jobs, retry=JobsState.load),
    )


def _no_jobs() -> rx.Component:
    return empty_block(text.NO_JOBS, text.NO_JOBS_NEXT)


def _list() -> rx.Component:
    head = [
        text.JOB_STATE,
        text.JOB_KIND,
        text.JOB_NAME,
        (text.CT, "num"),
        (text.NODE, "wide spare"),
        (text.TEMPLATE, "wide"),
        (text.USER, "wide spare"),
        (text.STARTED, "num wide"),
        (text.TOOK, "num wide"),
    ]
    return rx.el.div(
        _filters(),
        rx.cond(
            JobsState.rows.length() > 0,
            rx.fragment(table(head, rx.foreach(JobsState.rows, _row), label=text.NAV_JOBS), _pages()),
            rx.el.div(
                rx.el.p(text.NO_JOB_MATCHES),
                link(text.CLEAR_FILTER, JobsState.clear_href, class_name="button"),
                class_name="empty",
            ),
        ),
        class_name="stack-small",
    )


def _filters() -> rx.Component:
    return rx.el.div(
        search_box(JobsState.q, label=text.SEARCH_JOBS, chars=QUERY_CHARS, on_search=JobsState.search),
        _kinds(),
        _guest(),
        _select("state", text.JOBS_OF_STATE, text.ALL_JOBS, JobsState.state, text.JOB_FILTERS),
        _existing("node", text.BY_NODE, text.ANY_NODE, JobsState.node, JobsState.nodes),
        _existing("template", text.BY_TEMPLATE, text.ANY_TEMPLATE, JobsState.template, JobsState.templates),
        _existing("user", text.USER, text.ANY_USER, JobsState.user, JobsState.users),
        class_name="filter-row",
        role="search",
    )


def _kinds() -> rx.Component:
    return rx.el.select(
        rx.el.option(text.ANY_KIND, value=""),
        rx.foreach(JobsState.kinds, lambda kind: rx.el.option(kind.title, value=kind.value)),
        class_name="select",
        aria_label=text.JOB_KIND,
        value=JobsState.kind,
        on_change=JobsState.narrow("kind"),
    )


def _guest() -> rx.Component:
    return rx.el.form(
        rx.el.input(
            name="guest",
            class_name="input",
            aria_label=text.BY_GUEST,
            placeholder=text.BY_GUEST,
            default_value=JobsState.guest,
            max_length=QUERY_CHARS,
            on_blur=JobsState.narrow("guest"),
            key=JobsState.guest,
        ),
        on_submit=JobsState.narrow_guest,
    )


def _select(name: str, label: str, none: str, value: Any, options: Mapping[str, str]) -> rx.Component:
    return rx.el.select(
        rx.el.option(none, value=""),
        *(rx.el.option(word, value=key) for key, word in options.items()),
        class_name="select",
        aria_label=label,
        value=value,
        on_change=JobsState.narrow(name),
    )


def _existing(name: str, label: str, none: str, value: Any, values: Any) -> rx.Component:
    """A filter. Offers the existing values, and the address's value even if no job has it."""
    return rx.el.select(
        rx.el.option(none, value=""),
        rx.foreach(values, lambda existing: rx.el.option(existing, value=existing)),
        rx.cond((value != "") & ~values.contains(value), rx.el.option(value, value=value)),
        class_name="select",
        aria_label=label,
        value=value,
        on_change=JobsState.narrow(name),
    )


def _pages() -> rx.Component:
    return rx.el.nav(
        rx.cond(JobsState.newer_href != "", link(text.NEWER_JOBS, JobsState.newer_href, class_name="button plain")),
        rx.el.span(JobsState.window, class_name="soft num"),
        rx.cond(JobsState.older_href != "", link(text.OLDER_JOBS, JobsState.older_href, class_name="button plain")),
        class_name="row list-pages",
        aria_label=text.JOB_PAGES,
    )


def _row(row: rx.Var[JobRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(job_state(row.dot, row.word)),
        rx.el.td(row.title),
        rx.el.td(job_name(row)),
        rx.el.td(rx.cond(row.vmid > 0, mono(row.vmid)), class_name="num"),
        rx.el.td(mono(row.node), class_name="wide spare"),
        rx.el.td(row.template, class_name="wide"),
        rx.el.td(mono(row.userid), class_name="wide spare"),
        rx.el.td(ago(row.created_at), class_name="num wide"),
        rx.el.td(elapsed(row.seconds, row.ticking), class_name="num wide"),
        key=row.id,
    )
