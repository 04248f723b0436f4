"""Texts of the dashboard: nodes with their usage, and jobs that may need attention."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import NEW_CONTAINER
from lxc_dashboard.text.containers import FEED_WORDS

DASHBOARD_TITLE: Final = "Dashboard"
NODES_TITLE: Final = "Nodes"
NODE: Final = "Node"
STATE: Final = "State"
MEMORY: Final = "Memory"
CONTAINERS_STOPPED: Final = "Containers stopped"
ONLINE: Final = "Online"
JOBS_TO_SEE: Final = "Jobs running, waiting, or failed in the last 24 h"
NO_JOBS_TO_SEE: Final = "No job is running or waiting, and none failed in the last 24 h."
ALL_JOBS_THERE: Final = "All jobs"

# Keys as in node_table.js
NODE_WORDS: Final = {
    **FEED_WORDS,
    "title": NODES_TITLE,
    "loading": "Loading nodes",
    "node": NODE,
    "state": STATE,
    "cpu": "CPU",
    "mem": MEMORY,
    "mem_total": "Total memory",
    "containers": "Containers",
    "uptime": "Up",
    "nodes_online": "Nodes online",
    "containers_running": "Containers running",
    "containers_stopped": CONTAINERS_STOPPED,
    "containers_unknown": "Containers unknown",
    "online": ONLINE,
    "offline": "Offline",
    "unknown": "unknown",
    "no_figures": "You need Sys.Audit at /nodes/{node} to see the figures of {node}",
    "create": NEW_CONTAINER,
    "no_nodes": "You cannot see any node",
    "no_nodes_next": "Ask a PVE administrator for Sys.Audit on the nodes.",
}
