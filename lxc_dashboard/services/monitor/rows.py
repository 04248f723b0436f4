"""The rows of the live list: read from PVE, merged with newer values, compared with the last ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import astuple, replace

from lxc_dashboard.proxmox.schemas import Guest, Resource, TaskInfo
from lxc_dashboard.proxmox.schemas.values import words

if TYPE_CHECKING:
    from lxc_dashboard.db.repositories.containers import KnownGuest


class Row(Struct, frozen=True, gc=False):
    """A container as the live list shows it.

    Sizes are bytes, rates bytes a second, ``since`` epoch seconds (0: not running), ``cpu`` a share of 1. ``busy`` names what a
    PVE task does to it. The last four fields are the dashboard's own: empty for a container that it did not create.
    """

    vmid: int
    name: str = ""
    node: str = ""
    status: str = "unknown"
    cpu: float = 0.0
    maxcpu: float = 0
    mem: int = 0
    maxmem: int = 0
    disk: int = 0
    maxdisk: int = 0
    rx: int = 0
    tx: int = 0
    since: int = 0
    tags: tuple[str, ...] = ()
    pool: str = ""
    lock: str = ""
    busy: str = ""
    lifecycle: str = ""
    address: str = ""
    recipe: str = ""
    job: str = ""


# Some fields of a row by name; also a node or a PVE task as the feed describes it.
Fields = dict[str, Any]
Rows = dict[int, Row]

NAMES: Final = Row.__struct_fields__

MIB = 1024 * 1024
BOOT_TIME_SLACK_S = 15
RATE_STEP_BYTES = 64
# A shown figure stays while the difference is smaller and invisible.
CPU_STEP = 0.01
SIZE_STEP = 1 / 128  # of the guest's maximum
RATE_STEP = 1 / 8  # of the shown rate
# Whole MiB in every row, sent as MiB in the first list of a page.
IN_MIB = frozenset({"mem", "disk"})
# The act of a running PVE task by the task's type. Other types show as "busy".
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
    """The dashboard's own fields of a row. ``job_id``: the latest creation."""

    lifecycle: str = ""
    address: str = ""
    recipe: str = ""
    job_id: str = ""


def known_of(guest: KnownGuest) -> Known:
    """The fields of a guest that the dashboard created."""
    return Known(
        lifecycle=guest.lifecycle,
        address=guest.address,
        recipe=f"{guest.template} r{guest.revision}" if guest.template else "",
        job_id=str(guest.job_id) if guest.job_id else "",
    )


_OTHERS: Final = Known()


@dataclass(slots=True)
class Rates:
    """Bytes a second from counters that PVE refreshes about every 10 s."""

    last: dict[int, tuple[float, int, int]] = field(default_factory=dict)
    shown: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, vmid: int, at: float, netin: int, netout: int) -> tuple[int, int]:
        """The rates of ``vmid``: the last ones while its counters are unchanged, 0 after a restart."""
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
    """Whole MiB; ``shown`` while the difference is small."""
    near = shown and size and abs(size - shown) < most * SIZE_STEP
    return shown if near else size // MIB * MIB


def from_resources(
    resources: Iterable[Resource],
    known: Mapping[int, Known],
    previous: Mapping[int, Row],
    rates: Rates,
    at: float,
) -> Rows:
    """All containers of ``/cluster/resources``. Guests of a node that is down are ``unknown``. ``at``: epoch seconds.

    An unchanged row is the same object as in ``previous``, which saves memory with thousands of rows.
    """
    found = list(resources)
    down = {r.node for r in found if r.type == "node" and r.status not in {"online", ""}}
    rows: Rows = {}
    for r in found:
        if r.type != "lxc" or r.template:
            continue
        status = "unknown" if r.node in down else r.status or "unknown"
        before = previous.get(r.vmid)
        row = _row(
            r,
            before or Row(r.vmid),
            at,
            status=status,
            rates=rates.of(r.vmid, at, r.netin, r.netout),
            known=known.get(r.vmid, _OTHERS),
        )
        rows[r.vmid] = before if before == row else row
    return rows


def _row(r: Resource, before: Row, at: float, *, status: str, rates: tuple[int, int], known: Known) -> Row:
    rx, tx = rates
    return Row(
        vmid=r.vmid,
        name=r.name or before.name or f"CT {r.vmid}",
        node=sys.intern(r.node),
        status=sys.intern(status),
        cpu=_cpu(before.cpu, r.cpu),
        maxcpu=r.maxcpu,
        mem=_size(before.mem, r.mem, r.maxmem),
        maxmem=r.maxmem,
        disk=_size(before.disk, r.disk, r.maxdisk),
        maxdisk=r.maxdisk,
        rx=rx,
        tx=tx,
        since=boot_time(before.since, at, r.uptime),
        tags=r.tag_list,
        pool=sys.intern(r.pool),
        lock=sys.intern(r.lock),
        lifecycle=known.lifecycle,
        address=known.address,
        recipe=known.recipe,
        job=known.job_id,
    )


def boot_time(before: int, at: float, uptime: int) -> int:
    """The start time in epoch seconds, constant between polls, unlike an uptime. ``before``: the last result."""
    if uptime <= 0:
        return 0
    since = int(at - uptime)
    return before if abs(before - since) < BOOT_TIME_SLACK_S else since


def live_fields(status: Guest, node: str, before: Row | None, at: float) -> Fields:
    """The fields of ``status/current``, or of a node's list, to lay over a row whose figures are up to 10 s old."""
    live: Fields = {
        "node": node,
        "status": status.status or "unknown",
        "lock": status.lock,
        "maxcpu": status.cpus,
        "maxmem": status.maxmem,
        "maxdisk": status.maxdisk,
        "mem": status.mem // MIB * MIB,
        "since": boot_time(before.since if before else 0, at, status.uptime),
    }
    if status.name:
        live["name"] = status.name
    return live


def busy_guests(tasks: Iterable[TaskInfo]) -> dict[int, str]:
    """The running act by vmid, from ``/cluster/tasks``."""
    return {
        int(task.id): DOING.get(task.type, "busy")
        for task in tasks
        if task.running and task.id.isdecimal() and task.type not in QUIET_TYPES
    }


def running_tasks(tasks: Iterable[TaskInfo]) -> list[Fields]:
    """The running tasks without consoles, oldest first, from ``/cluster/tasks``. ``since``: epoch seconds."""
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


def laid_over(row: Row | None, vmid: int, fields: Fields) -> Row:
    """``row`` with ``fields``. Without a row, the guest is not in PVE's list yet, and its other fields are blank.

    Unknown fields are dropped: a process of another version may have sent them.
    """
    if not fields.keys() <= _FIGURES:
        fields = {name: _SHARED.get(name, _same)(value) for name, value in fields.items() if name in NAMES}
    return replace(row or Row(vmid, f"CT {vmid}"), **fields)


def _same(value: Any) -> Any:
    return value


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return words(" ".join(tags))


# Thousands of rows share a few values of these fields, so each value is stored once.
_SHARED: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("node", "status", "pool", "lock", "busy", "lifecycle", "recipe"), sys.intern),
    "tags": _tags,
}
_FIGURES: Final = frozenset(NAMES) - _SHARED.keys()


def difference(old: Mapping[int, Row], new: Mapping[int, Row]) -> tuple[dict[int, Row | Fields], list[int]]:
    """The changed fields by vmid, or the whole row if it is new, and the removed vmids."""
    changed: dict[int, Row | Fields] = {}
    for vmid, row in new.items():
        before = old.get(vmid)
        if before is None:
            changed[vmid] = row
        elif before is not row and before != row:
            pairs = zip(NAMES, astuple(row), astuple(before), strict=True)
            changed[vmid] = {name: value for name, value, last in pairs if value != last}
    return changed, [vmid for vmid in old if vmid not in new]


def columns(rows: Mapping[int, Row]) -> dict[str, list[Any]]:
    """The rows as one list per field, sorted by vmid. Compressed, columns take a third of the space of rows.

    ``vmid`` holds the difference to the vmid before. Fields in ``IN_MIB`` are in MiB.
    """
    vmids = sorted(rows)
    listed = [rows[vmid] for vmid in vmids]
    return _by_field(vmids, {name: list(map(attrgetter(name), listed)) for name in NAMES})


def columns_of_changes(changed: Mapping[int, Fields]) -> dict[str, list[Any]]:
    """``columns`` for some fields of each row. ``None``: the field did not change."""
    vmids = sorted(changed)
    listed = [changed[vmid] for vmid in vmids]
    names = dict.fromkeys(name for fields in listed for name in fields)
    return _by_field(vmids, {name: [fields.get(name) for fields in listed] for name in names})


def _by_field(vmids: list[int], values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    for name in IN_MIB & values.keys():
        values[name] = [None if size is None else size // MIB for size in values[name]]
    return values | {"vmid": [vmid - before for before, vmid in zip([0, *vmids], vmids, strict=False)]}


def rows_of(columns: Mapping[str, list[Any]]) -> dict[int, Fields]:
    """The reverse of ``columns``. The fields of each row contain its ``vmid``."""
    vmids = list(accumulate(columns["vmid"]))
    names = [name for name in columns if name != "vmid"]
    rows: dict[int, Fields] = {vmid: {"vmid": vmid} for vmid in vmids}
    for name in names:
        unit = MIB if name in IN_MIB else None
        for vmid, value in zip(vmids, columns[name], strict=True):
            if value is not None:
                rows[vmid][name] = value * unit if unit else value
    return rows
