"""Texts of the frame of every page, of the list of keyboard shortcuts, and of the dashboard."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CLOSE, LOADING, NAV_CONTAINERS, NAV_TEMPLATES, NEW_CONTAINER
from lxc_dashboard.text.containers import CONSOLE, FEED_WORDS
from lxc_dashboard.text.creation import CREATE_TITLE
from lxc_dashboard.text.jobs import PROGRESS

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


# Keys as in running.js
RUNNING_WORDS: Final = {
    "running": "running",
    "title": "Running now",
    "loading": LOADING,
    "none": "Nothing is running at this endpoint: no job that you can see, and no PVE task.",
    "silent": "PVE does not answer. You see its tasks as last known",
    "more": "{count} more",
    "progress": PROGRESS,
    "jobs": ALL_JOBS_THERE,
    "close": CLOSE,
}
PVE_TASK: Final = "PVE {type}"
TASK_RUNNING: Final = "running"

# Keys as in status_line.js
STATUS_WORDS: Final = {
    "age": "Feed age {seconds} s",
    "nodes": "{up}/{all} nodes",
    "nodes_one": "{up}/{all} node",
}

DAEMON_SILENT: Final = "pvedaemon does not answer on {nodes}"

# Keys as in palette.js
SEARCH_WORDS: Final = {
    "verb": "Search",
    "key": "Ctrl K",
    "label": "Search pages, containers, templates and jobs",
    "hint": "Name, vmid, address",
    "pages": "Pages",
    "none": "No match that you can see",
    "close": CLOSE,
}


# Keys as in shortcuts.js
SHORTCUT_WORDS: Final = {
    "title": "Keyboard shortcuts",
    "single": "Single-key shortcuts",
    "single_hint": "If off, only Enter and keys with Ctrl or Alt work; open this list from the menu. Stored in this browser.",
    "off": "off",
    "close": CLOSE,
}
# By place: the keys, their effect, and whether they work without Ctrl or Alt.
SHORTCUTS: Final = {
    "Everywhere": (
        ("Ctrl K", "Search", False),
        ("?", "Show this list", True),
    ),
    f"{NAV_CONTAINERS}, {NAV_TEMPLATES.lower()}, buckets": (
        ("/", "Filter", True),
        ("j", "Next line", True),
        ("k", "Previous line", True),
        ("Enter", "Open the line", False),
        ("x", "Choose a template", True),
    ),
    CREATE_TITLE: (("Ctrl Enter", "Next step", False),),
    "Editor, buckets": (
        ("Ctrl S", "Save", False),
        ("Alt \u2191 \u2193", "Move a script", False),
    ),
    CONSOLE: (
        ("Ctrl Shift X", "Leave the terminal", False),
        ("Ctrl Shift C", "Copy", False),
        ("Ctrl Shift V", "Paste", False),
    ),
}
