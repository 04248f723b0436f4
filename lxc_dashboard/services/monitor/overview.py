"""The nodes of an endpoint: figures, numbers of containers, and downtime."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lxc_dashboard.proxmox.schemas import Resource
from lxc_dashboard.services.auth.privileges import CONSOLE_PRIVILEGE
from lxc_dashboard.services.jobs.acts import ACTS
from lxc_dashboard.services.monitor.rows import MIB, Fields, Row, boot_time

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.access import Grants

UP = frozenset({"online", ""})


def nodes_of(
    resources: Iterable[Resource],
    rows: Mapping[int, Row],
    before: Iterable[Fields],
    at: float,
    answered: Mapping[str, bool] | None = None,
) -> list[Fields]:
    """All nodes in natural order. ``before``: the last result. ``at``: epoch seconds.

    ``cpu`` is a share of 1, memory in bytes, ``since`` the start time; all are 0 while the node is down. ``maxmem`` is 0
    without Sys.Audit. ``down``: when the node was first seen down, or 0; ``longer``: it was down at the first poll.

    ``answered``: by node, whether its pvedaemon has answered since the last call. ``silent``: since when the pvedaemon of a
    running node does not answer, or 0.
    """
    counts = Counter((row.node, row.status) for row in rows.values())
    last = {node["name"]: node for node in before}
    found = [r for r in resources if r.type == "node"]
    return [
        {
            **_figures(r, last.get(r.node, {}), at),
            **_counted(r.node, counts),
            **_downtime(r, last.get(r.node), at),
            "silent": _silent_since(r, last.get(r.node, {}), at, (answered or {}).get(r.node)),
        }
        for r in sorted(found, key=lambda r: as_read(r.node))
    ]


def _silent_since(r: Resource, before: Fields, at: float, answered: bool | None) -> int:
    if r.status not in UP or answered:
        return 0
    return before.get("silent", 0) or (0 if answered is None else int(at))


def as_read(name: str) -> list[tuple[int, str]]:
    """Sort key in natural order: pve2 before pve10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", name)]


def needed_at_guests() -> frozenset[str]:
    """The privileges that acts and a guest's console require at ``/vms/{vmid}``."""
    return frozenset({CONSOLE_PRIVILEGE}).union(*(act.needs for act in ACTS.values()))


def rights_of(grants: Grants, rows: Iterable[int], privileges: Iterable[str]) -> Fields:
    """By privilege, for which guests the user holds it.

    ``usual``: whether the user holds it for most of ``rows``. ``others``: the vmids for which the opposite is true.
    """
    held = {vmid: grants.at_guest(vmid) for vmid in rows}
    return {privilege: _by_the_fewer({vmid: privilege in at for vmid, at in held.items()}) for privilege in privileges}


def _by_the_fewer(may: Mapping[int, bool]) -> Fields:
    usual = 2 * sum(may.values()) >= len(may)
    return {"usual": usual, "others": sorted(vmid for vmid, allowed in may.items() if allowed is not usual)}


def _figures(r: Resource, before: Fields, at: float) -> Fields:
    up = r.status in UP
    return {
        "name": r.node,
        "cpu": round(r.cpu, 2) if up else 0.0,
        "maxcpu": int(r.maxcpu),
        "mem": r.mem // MIB * MIB if up else 0,
        "maxmem": r.maxmem,
        "since": boot_time(before.get("since", 0), at, r.uptime) if up else 0,
    }


def _counted(node: str, counts: Mapping[tuple[str, str], int]) -> Fields:
    here = {status: count for (of, status), count in counts.items() if of == node}
    named = {status: here.get(status, 0) for status in ("running", "stopped")}
    return {"containers": sum(here.values()), **named}


def _downtime(r: Resource, before: Fields | None, at: float) -> Fields:
    if r.status in UP:
        return {"down": 0, "longer": False}
    if before is not None and before["down"]:
        return {"down": before["down"], "longer": before["longer"]}
    return {"down": int(at), "longer": before is None}
