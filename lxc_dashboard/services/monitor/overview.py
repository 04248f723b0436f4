"""The endpoint at a glance: its nodes, how many containers each has, and since when one does not answer."""

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
    heard: Mapping[str, bool] | None = None,
) -> list[Fields]:
    """All nodes, in the order in which they are read. ``before``: what this said the last time. ``at``: epoch seconds.

    ``cpu`` is a share of 1, memory in bytes, ``since`` when it was started; all of them 0 while it is down. ``maxmem`` is 0
    where PVE tells the user none of its figures, for want of Sys.Audit. ``down`` is when it was
    first seen to be down, 0 while it is up; ``longer``: it was down already when it was first looked at.

    ``heard``: by node, whether its pvedaemon has answered since the last time. ``silent``: since when that of a node which is
    up does not, 0 while it does.
    """
    counts = Counter((row.node, row.status) for row in rows.values())
    last = {node["name"]: node for node in before}
    found = [r for r in resources if r.type == "node"]
    return [
        {
            **_figures(r, last.get(r.node, {}), at),
            **_counted(r.node, counts),
            **_downtime(r, last.get(r.node), at),
            "silent": _silent_since(r, last.get(r.node, {}), at, (heard or {}).get(r.node)),
        }
        for r in sorted(found, key=lambda r: as_read(r.node))
    ]


def _silent_since(r: Resource, before: Fields, at: float, heard: bool | None) -> int:
    if r.status not in UP or heard:
        return 0
    return before.get("silent", 0) or (0 if heard is None else int(at))


def as_read(name: str) -> list[tuple[int, str]]:
    """Sort key: pve2 comes before pve10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", name)]


def needed_at_guests() -> frozenset[str]:
    """The privileges that acts, and a guest's console, need at ``/vms/{vmid}``."""
    return frozenset({CONSOLE_PRIVILEGE}).union(*(act.needs for act in ACTS.values()))


def rights_of(grants: Grants, rows: Iterable[int], privileges: Iterable[str]) -> Fields:
    """By privilege, on which guests the user holds it: ``usual`` for most of ``rows``, the opposite for the vmids in ``others``."""
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
