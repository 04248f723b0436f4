"""Texts of the list of containers and of a container's console."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CANCEL, FAILED_TITLE, MISSING_PRIVILEGE, REMEDY_RETRY, REMEDY_UNREACHABLE, RETRY

# For all pages with the feed
ACT_UNKNOWN: Final = "{act} is not something to do to a container"
FEED_WORDS: Final = {
    "retry": RETRY,
    "failed": FAILED_TITLE,
    "failing": "{cause}, since {time}",
    "as_old": "You see the last known state; its age is in the status line",
    "remedy_away": REMEDY_UNREACHABLE,
    "remedy_wait": REMEDY_RETRY,
    "down": "{node} does not answer since {time}",
    "down_longer": "{node} does not answer since {time} or longer",
    "silent_daemon": "pvedaemon on {node} does not answer since {time}. Start, stop and other acts on its containers fail. Restart it on the node: systemctl restart pvedaemon",
    "down_guest": "1 container on it is shown as unknown",
    "down_guests": "{count} containers on it are shown as unknown",
    "unreadable": "The list cannot be read ({status})",
    "silent": "The dashboard does not answer",
    "empty": "No containers that you can see. Create one from a template in five steps.",
    "of_cores": "of {cores} cores",
    "used_of": "{used} of {total}",
}

# Keys as in guest_table.js
GUEST_WORDS: Final = {
    **FEED_WORDS,
    "console": "Console",
    "missing": MISSING_PRIVILEGE,
    "lock": "locked: {lock}",
    "locked": "Locked: {lock}. PVE refuses most acts until the lock is released",
    "title": "Containers",
    "rows": "Rows",
    "counted": "{all} containers",
    "counted_one": "1 container",
    "counted_some": "{shown} of {all} containers",
    "counted_some_one": "{shown} of 1 container",
    "status": "State",
    "vmid": "ID",
    "name": "Name",
    "recipe": "Template",
    "node": "Node",
    "address": "Address",
    "cpu": "CPU",
    "mem": "Memory",
    "disk": "Disk",
    "net": "Network",
    "since": "Up",
    "actions": "Actions",
    "running": "running",
    "stopped": "stopped",
    "unknown": "unknown",
    "creating": "creating",
    "creation_failed": "creation failed",
    "how_created": "How it was created",
    "start": "Start",
    "shutdown": "Shut down",
    "stop": "Stop",
    "ask": "{verb} CT {vmid} {name}?",
    "shutdown_means": "Services stop in order. After 60 s PVE stops the container hard.",
    "stop_means": "The container stops at once, as if its power were cut. Unwritten data is lost.",
    "cancel": CANCEL,
    "filter": "Filter containers",
    "filter_hint": "Filter by name, tag, address…",
    "filter_status": "Filter by state",
    "filter_node": "Filter by node",
    "filter_pool": "Filter by pool",
    "filter_tag": "Filter by tag",
    "any_status": "Any state",
    "any_node": "Any node",
    "any_pool": "Any pool",
    "any_tag": "Any tag",
    "loading": "Loading containers",
    "no_match": "No container matches this filter.",
    "clear": "Clear the filter",
}

# A guest's console
CONSOLE: Final = "Console"
OPEN_CONSOLE: Final = "Open console"
NO_SUCH_GUEST: Final = "Container not found"
MISSING_GUEST_DETAIL: Final = "The address is wrong, the container is gone, or you lack VM.Audit on it."
ALL_CONTAINERS: Final = "All containers"
CONSOLE_LABEL: Final = "Terminal of the container"
CONSOLE_SHARED: Final = (
    "PVE has one terminal for each container: everybody who opens it shares it. Closing the last window signs out"
)
CONSOLE_KEYS: Final = "Ctrl-Shift-X leaves the terminal by keyboard, Ctrl-Shift-C copies, Ctrl-Shift-V pastes"
CONSOLE_STOPPED: Final = "This container is stopped"
CONSOLE_STOPPED_NEXT: Final = "Start it to open its console"
CONSOLE_START: Final = "Start"
CONSOLE_WORDS: Final = {
    "connecting": "Connecting",
    "open": "Connected. Press Enter if nothing appears",
    "closed": "The connection has ended",
    "again": "Connect again",
}
