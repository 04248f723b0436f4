"""Texts of the frame of every page: running jobs, status line, search."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CLOSE, LOADING
from lxc_dashboard.text.dashboard import ALL_JOBS_THERE
from lxc_dashboard.text.jobs import PROGRESS

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
