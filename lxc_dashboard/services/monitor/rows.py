"""The rows of the live list: made from what PVE says, overlaid with what is newer, compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxc_dashboard.proxmox.schemas import GuestStatus, Resource, TaskInfo

Row = dict[str, Any]
Rows = dict[int, Row]

MIB = 1024 * 1024
BOOT_TIME_SLACK_S = 15
RATE_STEP_BYTES = 64
# Whole MiB in every row, and told as such to a page that begins.
IN_MIB = ("mem", "disk")
# What a running PVE task does to its guest, by the task's type. A type that is not listed still shows as "busy".
DOING = {
    "vzstart": "starting",
    "vzstop": "stopping",
    "vzshutdown": "shutting down",
    "vzreboot": "restarting",
    "vzsuspend": "suspending",
    "vzresume": "resuming",
    "vzcreate": "creating",
    "vzrestore": "restoring",
    "vzdestroy": "deleting",
    "vzmigrate": "migrating",
    "vzclone": "cloning",
    "vzdump": "backing up",
    "vzsnapshot": "taking a snapshot",
    "vzrollback": "rolling back",
    "vzdelsnapshot": "deleting a snapshot",
    "resize": "resizing",
    "move_volume": "moving a volume",
}
QUIET_TYPES = frozenset({"vncproxy", "vncshell", "termproxy", "spiceproxy", "spiceshell"})


@dataclass(frozen=True, slots=True)
class Known:
    """What the product itself knows of a guest."""

    lifecycle: str
    address: str = ""
    recipe: str = ""
    creation_id: str = ""


@dataclass(slots=True)
class Rates:
    """Bytes a second from counters that PVE refreshes about every 10 s."""

    last: dict[int, tuple[float, int, int]] = field(default_factory=dict)
    shown: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, vmid: int, at: float, netin: int, netout: int) -> tuple[int, int]:
        """The rates of ``vmid``; those of before while its counters stand still, 0 after a restart."""
        before = self.last.get(vmid)
        if before is None or netin < before[1] or netout < before[2]:
            self.last[vmid] = (at, netin, netout)
            self.shown[vmid] = (0, 0)
        elif (netin, netout) != before[1:] and at > before[0]:
            seconds = at - before[0]
            self.last[vmid] = (at, netin, netout)
            self.shown[vmid] = (_coarse((netin - before[1]) / seconds), _coarse((netout - before[2]) / seconds))
        return self.shown[vmid]


def _coarse(rate: float) -> int:
    return round(rate / RATE_STEP_BYTES) * RATE_STEP_BYTES


def from_resources(
    resources: Iterable[Resource],
    known: Mapping[int, Known],
    previous: Mapping[int, Row],
    rates: Rates,
    at: float,
) -> Rows:
    """All containers of ``/cluster/resources``. Guests of a node that is down are ``unknown``. ``at``: epoch seconds."""
    found = list(resources)
    down = {r.node for r in found if r.type == "node" and r.status not in {"online", ""}}
    rows: Rows = {}
    for r in found:
        if r.type != "lxc" or r.template:
            continue
        status = "unknown" if r.node in down else r.status or "unknown"
        rows[r.vmid] = _row(r, status, previous.get(r.vmid, {}), rates, at) | _known(known.get(r.vmid))
    return rows


def _row(r: Resource, status: str, before: Row, rates: Rates, at: float) -> Row:
    rx, tx = rates.of(r.vmid, at, r.netin, r.netout)
    return {
        "vmid": r.vmid,
        "name": r.name or before.get("name") or f"CT {r.vmid}",
        "node": r.node,
        "status": status,
        "cpu": round(r.cpu, 2),
        "maxcpu": r.maxcpu,
        "mem": r.mem // MIB * MIB,
        "maxmem": r.maxmem,
        "disk": r.disk // MIB * MIB,
        "maxdisk": r.maxdisk,
        "rx": rx,
        "tx": tx,
        "since": boot_time(before, at, r.uptime),
        "tags": list(r.tag_list),
        "pool": r.pool,
        "lock": r.lock,
        "busy": before.get("busy", ""),
    }


def boot_time(before: Mapping[str, Any], at: float, uptime: int) -> int:
    """When it was started, steady from poll to poll: an uptime would change every row each time."""
    if uptime <= 0:
        return 0
    since = int(at - uptime)
    old = int(before.get("since", 0))
    return old if abs(old - since) < BOOT_TIME_SLACK_S else since


def _known(known: Known | None) -> Row:
    if known is None:
        return {"lifecycle": "", "address": "", "recipe": "", "job": ""}
    return {
        "lifecycle": known.lifecycle,
        "address": known.address,
        "recipe": known.recipe,
        "job": known.creation_id,
    }


def live_fields(status: GuestStatus, node: str, before: Mapping[str, Any], at: float) -> Row:
    """What ``status/current`` says now, to lay over a row that still says what was 10 s ago."""
    live: Row = {
        "vmid": status.vmid,
        "node": node,
        "status": status.status or "unknown",
        "lock": status.lock,
        "maxcpu": status.cpus,
        "maxmem": status.maxmem,
        "maxdisk": status.maxdisk,
        "mem": status.mem // MIB * MIB,
        "since": boot_time(before, at, status.uptime),
    }
    if status.name:
        live["name"] = status.name
    return live


def busy_guests(tasks: Iterable[TaskInfo]) -> dict[int, str]:
    """What runs now on which guest, from ``/cluster/tasks``."""
    return {
        int(task.id): DOING.get(task.type, "busy")
        for task in tasks
        if task.running and task.id.isdecimal() and task.type not in QUIET_TYPES
    }


def running_tasks(tasks: Iterable[TaskInfo]) -> list[Row]:
    """All that runs now, the oldest first, from ``/cluster/tasks``; open consoles are no work. ``since``: epoch seconds."""
    running = [task for task in tasks if task.running and task.type not in QUIET_TYPES]
    return [
        {
            "upid": task.upid,
            "type": task.type,
            "id": task.id,
            "node": task.node,
            "user": task.user,
            "since": task.starttime,
        }
        for task in sorted(running, key=lambda task: (task.starttime, task.upid))
    ]


def complete(row: Mapping[str, Any]) -> Row:
    """A row with every field, for a guest that PVE's list does not show yet."""
    blank: Row = {
        "vmid": 0,
        "name": "",
        "node": "",
        "status": "unknown",
        "cpu": 0.0,
        "maxcpu": 0,
        "mem": 0,
        "maxmem": 0,
        "disk": 0,
        "maxdisk": 0,
        "rx": 0,
        "tx": 0,
        "since": 0,
        "tags": [],
        "pool": "",
        "lock": "",
        "busy": "",
        **_known(None),
    }
    return {**blank, **row, "name": row.get("name") or f"CT {row.get('vmid', 0)}"}


def difference(old: Mapping[int, Row], new: Mapping[int, Row]) -> tuple[dict[int, Row], list[int]]:
    """The fields that changed, by vmid, and the vmids that are gone."""
    changed: dict[int, Row] = {}
    for vmid, row in new.items():
        before = old.get(vmid)
        if before is None:
            changed[vmid] = row
        elif before != row:
            changed[vmid] = {key: value for key, value in row.items() if before.get(key) != value}
    return changed, [vmid for vmid in old if vmid not in new]


def columns(rows: Rows) -> dict[str, list[Any]]:
    """All rows, sorted by vmid, field by field: like beside like is a third of the size once it is compressed.

    ``vmid`` tells how much more each is than the one before, ``IN_MIB`` are told in MiB.
    """
    vmids = sorted(rows)
    listed = [rows[vmid] for vmid in vmids]
    found: dict[str, list[Any]] = {
        name: [row.get(name, default) for row in listed] for name, default in complete({}).items()
    }
    found["vmid"] = [vmid - before for before, vmid in zip([0, *vmids], vmids, strict=False)]
    for name in IN_MIB:
        found[name] = [size // MIB for size in found[name]]
    return found
