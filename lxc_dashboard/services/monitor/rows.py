"""The rows of the live list: made from what PVE says, overlaid with what is newer, compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from lxc_dashboard.proxmox.schemas import Guest, Resource, TaskInfo

Row = dict[str, Any]
Rows = dict[int, Row]

MIB = 1024 * 1024
BOOT_TIME_SLACK_S = 15
RATE_STEP_BYTES = 64
# A shown figure stays while the true one differs by less: nobody could see the difference.
CPU_STEP = 0.01
SIZE_STEP = 1 / 128  # of what the guest may have at most
RATE_STEP = 1 / 8  # of the rate that is shown
# Whole MiB in every row, and told as such to a page that begins.
IN_MIB = frozenset({"mem", "disk"})
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
    job_id: str = ""


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
            rx, tx = self.shown[vmid]
            self.shown[vmid] = (_rate(rx, (netin - before[1]) / seconds), _rate(tx, (netout - before[2]) / seconds))
        return self.shown[vmid]


def _rate(shown: int, rate: float) -> int:
    if abs(rate - shown) < max(RATE_STEP_BYTES, shown * RATE_STEP):
        return shown if rate >= RATE_STEP_BYTES else 0
    return round(rate / RATE_STEP_BYTES) * RATE_STEP_BYTES


def _cpu(shown: float, cpu: float) -> float:
    return shown if cpu and abs(cpu - shown) < CPU_STEP else round(cpu, 2)


def _size(shown: int, size: int, most: int) -> int:
    """Whole MiB; ``shown`` while ``size`` is near to it."""
    near = shown and size and abs(size - shown) < most * SIZE_STEP
    return shown if near else size // MIB * MIB


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
        "cpu": _cpu(before.get("cpu", 0.0), r.cpu),
        "maxcpu": r.maxcpu,
        "mem": _size(before.get("mem", 0), r.mem, r.maxmem),
        "maxmem": r.maxmem,
        "disk": _size(before.get("disk", 0), r.disk, r.maxdisk),
        "maxdisk": r.maxdisk,
        "rx": rx,
        "tx": tx,
        "since": boot_time(before, at, r.uptime),
        "tags": list(r.tag_list),
        "pool": r.pool,
        "lock": r.lock,
        "busy": "",
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
        "job": known.job_id,
    }


def live_fields(status: Guest, node: str, before: Mapping[str, Any], at: float) -> Row:
    """What ``status/current``, or a node's list, says now, to lay over a row that still says what was 10 s ago."""
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
        elif before is not row and before != row:
            changed[vmid] = {key: value for key, value in row.items() if before.get(key) != value}
    return changed, [vmid for vmid in old if vmid not in new]


def columns(rows: Mapping[int, Row]) -> dict[str, list[Any]]:
    """Rows, or parts of rows, as one list a field, sorted by vmid: compressed, columns take a third of what rows take.

    ``None``: the row does not have the field. ``vmid`` holds the difference to the vmid before. Fields in ``IN_MIB`` are in MiB.
    """
    vmids = sorted(rows)
    listed = [rows[vmid] for vmid in vmids]
    names = dict.fromkeys(name for row in listed for name in row if name != "vmid")
    steps = [vmid - before for before, vmid in zip([0, *vmids], vmids, strict=False)]
    by_field: dict[str, list[Any]] = {"vmid": steps} | {name: [row.get(name) for row in listed] for name in names}
    for name in IN_MIB & names.keys():
        by_field[name] = [None if size is None else size // MIB for size in by_field[name]]
    return by_field


def rows_of(columns: Mapping[str, list[Any]]) -> Rows:
    """The reverse of ``columns``; each row has its ``vmid``."""
    vmids = list(accumulate(columns["vmid"]))
    names = [name for name in columns if name != "vmid"]
    rows: Rows = {vmid: {"vmid": vmid} for vmid in vmids}
    for name in names:
        unit = MIB if name in IN_MIB else None
        for vmid, value in zip(vmids, columns[name], strict=True):
            if value is not None:
                rows[vmid][name] = value * unit if unit else value
    return rows
