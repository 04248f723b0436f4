"""The dashboard: nodes and their figures."""

from __future__ import annotations

from typing import Final

DASHBOARD_TITLE: Final = "Dashboard"
NODES_TITLE: Final = "Nodes"
NODE: Final = "Node"
STATE: Final = "State"
CPU: Final = "CPU"
MEMORY: Final = "Memory"
UPTIME: Final = "Up"
CONTAINERS_RUNNING: Final = "Containers running"
CONTAINERS_STOPPED: Final = "Containers stopped"
NODES_ONLINE: Final = "Nodes online"
NODES_OFFLINE: Final = "Offline; their guests' figures are the last ones known:"
ONLINE: Final = "Online"
OFFLINE_NODE: Final = "Offline"
MEMORY_TOTAL: Final = "Memory in all"
CONTAINERS: Final = "Containers"
REFRESH: Final = "Refresh"
PVE: Final = "PVE"
FIGURES_OF: Final = "figures of"
JOBS_TO_SEE: Final = "Jobs under way, waiting, or failed in the last 24 h"
NO_JOBS_TO_SEE: Final = "No job runs, waits or has failed in the last 24 h."
ALL_JOBS_THERE: Final = "All jobs"
DASHBOARD_EMPTY: Final = "No node is visible to this user"
DASHBOARD_EMPTY_NEXT: Final = "Ask an administrator of PVE for Sys.Audit on the nodes."
