"""What every page has in its top bar: what runs now, and the search."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CLOSE, LOADING
from lxc_dashboard.text.dashboard import ALL_JOBS_THERE
from lxc_dashboard.text.jobs import PROGRESS

# The words of the drawer, by the names that running.js has for them
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

# The words of the status line, by the names that status_line.js has for them
STATUS_WORDS: Final = {
    "age": "Feed age {seconds} s",
    "nodes": "{up}/{all} nodes",
    "nodes_one": "{up}/{all} node",
}

DAEMON_SILENT: Final = "pvedaemon does not answer on {nodes}"

# The words of the search, by the names that palette.js has for them
SEARCH_WORDS: Final = {
    "verb": "Search",
    "key": "Ctrl K",
    "label": "Search pages, containers, templates and jobs",
    "hint": "Name, vmid, address",
    "pages": "Pages",
    "none": "No match that you can see",
    "close": CLOSE,
}
