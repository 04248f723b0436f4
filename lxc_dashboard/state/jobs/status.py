"""What the status line of every page says of the feed. No Reflex here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from lxc_dashboard import text


def status_of(meta: Mapping[str, Any]) -> dict[str, Any]:
    """``age`` of what is known in seconds, -1 where nothing is; PVE's ``version``; ``up`` of ``all`` nodes; ``error`` while PVE, or a node's pvedaemon, is silent.

    Empty as long as PVE was not asked. An age and not a time: the clock of a browser may be another. ``at`` is the time of
    the look by the server's clock. It makes each look's status differ: Reflex keeps the old object for a delta that equals it.
    """
    if "at" not in meta and not meta.get("error"):
        return {}
    nodes = meta.get("nodes", [])
    return {
        "age": round(max(0.0, time.time() - meta["at"]), 1) if "at" in meta else -1,
        "at": meta.get("at", 0),
        "version": meta.get("version", ""),
        "up": sum(not node["down"] for node in nodes),
        "all": len(nodes),
        "error": meta.get("error", "") or _silent(nodes),
    }


def _silent(nodes: Iterable[Mapping[str, Any]]) -> str:
    names = [node["name"] for node in nodes if node.get("silent")]
    return text.DAEMON_SILENT.format(nodes=", ".join(names)) if names else ""
