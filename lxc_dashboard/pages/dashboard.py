"""The first page after the sign-in: the nodes, how many containers run, and the jobs that somebody may have to look at."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, figure, note, page_states, table
from lxc_dashboard.components.controls import button, link, mono
from lxc_dashboard.components.job_parts import elapsed, job_name, job_state, watch
from lxc_dashboard.components.widgets import ago, duration, meter, size
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.dashboard import DashboardState, NodeRow
from lxc_dashboard.state.dashboard_jobs import DashboardJobsState
from lxc_dashboard.state.job_rows import JobRow


def refresh() -> rx.Component:
    return button(text.REFRESH, on_click=DashboardState.load)


def _status() -> rx.Component:
    """Whose figures these are, and how old: they move at a load only."""
    shown = rx.el.span(text.PVE, " ", DashboardState.version, f" · {text.FIGURES_OF} ", ago(DashboardState.read_at))
    return rx.cond(DashboardState.version != "", shown)


@page(
    routes.DASHBOARD,
    text.DASHBOARD_TITLE,
    on_load=[DashboardState.load, DashboardJobsState.load],
    actions=refresh,
    status=_status,
)
def dashboard() -> rx.Component:
    """The jobs stand there too while PVE is silent."""
    nodes = page_states(
        DashboardState,
        content,
        empty=lambda: empty_block(text.DASHBOARD_EMPTY, text.DASHBOARD_EMPTY_NEXT),
        retry=DashboardState.load,
    )
    return rx.el.div(nodes, _jobs(), class_name="stack")


def _jobs() -> rx.Component:
    state = DashboardJobsState
    head = [text.JOB_STATE, text.JOB_NAME, (text.CT, "num"), (text.NODE, "wide"), (text.TEMPLATE, "wide")]
    listed = table(
        [*head, (text.USER, "wide"), (text.TOOK, "num wide")], rx.foreach(state.rows, _job), label=text.JOBS_TO_SEE
    )
    return rx.el.section(
        watch(state.tick, on_watch=state.watch, on_tick=state.follow, on_leave=state.leave),
        rx.el.div(
            rx.el.h2(text.JOBS_TO_SEE, class_name="panel-title"),
            link(text.ALL_JOBS_THERE, routes.JOBS),
            class_name="panel-head",
        ),
        rx.match(
            state.phase,
            ("ready", listed),
            ("empty", rx.el.p(text.NO_JOBS_TO_SEE, class_name="soft")),
            ("failed", note(state.problem.cause, tone="warm")),
            rx.fragment(),
        ),
        aria_label=text.JOBS_TO_SEE,
    )


def _job(row: rx.Var[JobRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(job_state(row.dot, row.word)),
        rx.el.td(job_name(row)),
        rx.el.td(mono(row.vmid), class_name="num"),
        rx.el.td(mono(row.node), class_name="wide"),
        rx.el.td(row.template, class_name="wide"),
        rx.el.td(mono(row.userid), class_name="wide"),
        rx.el.td(elapsed(row.seconds, row.ticking), class_name="num wide"),
        key=row.id,
    )


def content() -> rx.Component:
    return rx.el.div(
        rx.el.dl(
            figure(text.NODES_ONLINE, DashboardState.nodes_online),
            figure(text.CONTAINERS_RUNNING, link(DashboardState.running, routes.containers(status="running"))),
            figure(text.CONTAINERS_STOPPED, link(DashboardState.stopped, routes.containers(status="stopped"))),
            class_name="figures",
        ),
        rx.cond(
            DashboardState.offline.length() > 0,
            note(text.NODES_OFFLINE, " ", DashboardState.offline.join(", "), tone="warm"),
        ),
        table(
            [
                text.NODE,
                text.STATE,
                text.CPU,
                text.MEMORY,
                (text.MEMORY_TOTAL, "num wide"),
                (text.CONTAINERS, "num"),
                (text.UPTIME, "num wide"),
            ],
            rx.foreach(DashboardState.nodes, row),
            label=text.NODES_TITLE,
        ),
        class_name="stack",
    )


def row(node: rx.Var[NodeRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(link(node.name, node.href, class_name="mono")),
        rx.el.td(
            rx.el.span(class_name="dot " + node.state.to(str), aria_hidden=True),
            " ",
            rx.cond(node.online, text.ONLINE, text.OFFLINE_NODE),
        ),
        rx.el.td(meter(node.cpu, label=text.CPU)),
        rx.el.td(meter(node.memory, node.memory_total, label=text.MEMORY)),
        rx.el.td(size(node.memory_total), class_name="num wide"),
        rx.el.td(node.containers, class_name="num"),
        rx.el.td(rx.cond(node.online, duration(node.uptime_s)), class_name="num wide"),
    )
