"""The dashboard's state."""

from __future__ import annotations

import time
from dataclasses import dataclass

import reflex as rx

from lxc_dashboard import routes
from lxc_dashboard.services.monitor import overview
from lxc_dashboard.services.monitor.overview import NodeSummary
from lxc_dashboard.state.base import PageState, requires, runtime, session


@dataclass(frozen=True)
class NodeRow:
    """``state`` is running (online) or unknown, for the dot; ``href`` lists its containers."""

    name: str
    state: str
    online: bool
    cpu: float
    cores: int
    memory: int
    memory_total: int
    uptime_s: int
    containers: str
    href: str


class DashboardState(PageState, rx.State):
    """``read_at``: seconds since the epoch."""

    nodes: list[NodeRow] = []
    version: str = ""
    nodes_online: str = ""
    running: str = ""
    stopped: str = ""
    offline: list[str] = []
    read_at: float = 0.0

    @requires()
    async def load(self) -> None:
        """What the endpoint shows this user now."""
        async with self._filling():
            found = await overview.overview(runtime(), session())
            self.nodes = [_row(node) for node in found.nodes]
            self.version = found.version
            self.nodes_online = f"{found.online}/{len(found.nodes)}"
            self.running, self.stopped = f"{found.running:,}", f"{found.containers - found.running:,}"
            self.offline = [node.name for node in found.nodes if not node.online]
            self.read_at = time.time()
            self._show(empty=not found.nodes)


def _row(node: NodeSummary) -> NodeRow:
    return NodeRow(
        name=node.name,
        state="running" if node.online else "unknown",
        online=node.online,
        cpu=node.cpu,
        cores=node.cores,
        memory=node.memory,
        memory_total=node.memory_total,
        uptime_s=node.uptime_s,
        containers=f"{node.running:,}/{node.containers:,}",
        href=routes.containers(node=node.name),
    )
