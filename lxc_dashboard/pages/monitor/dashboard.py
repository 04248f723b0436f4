"""The first page after the sign-in: nodes, counts of containers, and jobs that may need attention.

``node_table.js`` draws the nodes.
"""

from __future__ import annotations

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import loading_rows, note, table
from lxc_dashboard.components.controls import icon, link, mono
from lxc_dashboard.components.job_parts import elapsed, job_name, job_state, watch
from lxc_dashboard.components.list_parts import FeedTable
from lxc_dashboard.components.scripts import script
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.containers.feed import FeedState
from lxc_dashboard.state.jobs.job_list import DashboardJobsState
from lxc_dashboard.state.jobs.rows import JobRow

_NODE_TABLE = script(__name__, "node_table.js")


class NodeTable(FeedTable):
    """Nodes with their figures, and counts of containers."""

    library = _NODE_TABLE
    tag = "NodeTable"

    list_url: rx.Var[str] = field()
    create_url: rx.Var[str] = field()


@page(
    routes.DASHBOARD,
    text.DASHBOARD_TITLE,
    on_load=DashboardJobsState.load,
)
def dashboard() -> rx.Component:
    """The nodes and the jobs. The jobs show even while PVE does not answer."""
    nodes = NodeTable.create(
        icon("circle-alert", 20),
        words=dict(text.NODE_WORDS),
        snapshot_url=routes.NODES_FEED,
        list_url=routes.CONTAINERS,
        create_url=routes.CREATE,
        patch=FeedState.patch,
        on_watch=FeedState.watch,
        on_leave=FeedState.leave,
    )
    return rx.el.div(nodes, _jobs(), class_name="stack")


def _jobs() -> rx.Component:
    state = DashboardJobsState
    head = [
        text.JOB_STATE,
        text.JOB_KIND,
        text.JOB_NAME,
        (text.CT, "num"),
        (text.NODE, "wide spare"),
        (text.TEMPLATE, "wide"),
    ]
    listed = table(
        [*head, (text.USER, "wide spare"), (text.TOOK, "num wide")],
        rx.foreach(state.rows, _job),
        label=text.JOBS_TO_SEE,
    )
    return rx.el.section(
        watch(state.tick, on_watch=state.watch, on_tick=state.follow, on_leave=state.leave),
        rx.el.div(
            rx.el.h2(text.JOBS_TO_SEE, class_name="panel-title"),
            link(text.ALL_JOBS_THERE, routes.JOBS),
            class_name="panel-head",
        ),
        rx.cond(state.own_only, note(text.OWN_JOBS_ONLY, tone="warm")),
        rx.match(
            state.phase,
            ("ready", listed),
            ("empty", rx.el.p(text.NO_JOBS_TO_SEE, class_name="soft")),
            ("failed", note(state.problem.cause, tone="warm")),
            loading_rows(2),
        ),
        aria_label=text.JOBS_TO_SEE,
    )


def _job(row: rx.Var[JobRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(job_state(row.dot, row.word)),
        rx.el.td(row.title),
        rx.el.td(job_name(row)),
        rx.el.td(mono(row.vmid), class_name="num"),
        rx.el.td(mono(row.node), class_name="wide spare"),
        rx.el.td(row.template, class_name="wide"),
        rx.el.td(mono(row.userid), class_name="wide spare"),
        rx.el.td(elapsed(row.seconds, row.ticking), class_name="num wide"),
        key=row.id,
    )
