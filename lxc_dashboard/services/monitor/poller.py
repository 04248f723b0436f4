"""Keeps the rows of one user at one endpoint current, with at most 30 requests a minute while nothing happens.

``/cluster/resources`` is complete but up to 10 s old. ``/cluster/tasks`` shows starts and ends at once. ``status/current`` is
live: after a task, the guest's live fields replace those of its row until the list has caught up.

A guest that powers itself off leaves no task. So the poller requests the whole list when PVE has just measured. In
between it requests the live list of one node, in turn.

pveproxy answers the cluster's lists itself. A node's own list shows whether its pvedaemon runs, which every act needs.

pvestatd measures every 10 s, at its own time on each node, and the list has no timestamp. A guest's uptime in it is as old as
the figures, while its uptime in ``/nodes/{node}/lxc`` is live. The difference shows when the node measured (``refreshes``).
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from lxc_dashboard.errors import ApiError, PrivilegeError, ProxmoxError, UnreachableError
from lxc_dashboard.proxmox.access import Grants
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.schemas import Guest, Resource, TaskInfo
from lxc_dashboard.services.monitor.overview import UP, needed_at_guests, nodes_of, rights_of
from lxc_dashboard.services.monitor.rows import (
    Fields,
    Known,
    Rates,
    Row,
    Rows,
    busy_guests,
    difference,
    from_resources,
    laid_over,
    live_fields,
    running_tasks,
)

# How long pvestatd takes to publish its figures.
PUBLISHED_WITHIN_S = 1.5
# An older measurement means that the guest was restarted.
OLDEST_S = 60.0


@dataclass(slots=True)
class Refreshes:
    """``measured``: when each node last measured, in epoch seconds, for nodes with a live list."""

    measured: dict[str, float] = field(default_factory=dict)
    _started: dict[int, float] = field(default_factory=dict)

    def see_live(self, guests: Iterable[Guest], at: float) -> None:
        """Note the start times of ``guests``, the list of one node as of ``at``."""
        self._started |= {guest.vmid: at - guest.uptime for guest in guests if guest.uptime > 0}

    def see_listed(self, resources: Iterable[Resource], at: float) -> None:
        """Calculate ``measured`` from ``resources``, the cluster's list as of ``at``."""
        measured: dict[str, list[float]] = {}
        for r in resources:
            when = self._started.get(r.vmid, 0.0) + r.uptime
            if r.uptime > 0 and at - OLDEST_S < when:
                measured.setdefault(r.node, []).append(when)
        self.measured = {node: statistics.median(moments) for node, moments in measured.items()}

    def next(self, every_s: float) -> float | None:
        """When the first node by name publishes its next figures; None while that is unknown."""
        return self.measured[min(self.measured)] + every_s + PUBLISHED_WITHIN_S if self.measured else None

    def is_due(self, at: float, every_s: float) -> bool:
        """Whether a node has published newer figures by ``at`` than the last list."""
        return any(moment + every_s + PUBLISHED_WITHIN_S <= at for moment in self.measured.values())


log = structlog.get_logger(__name__)

# Three polls with five requests in the 10 s between PVE's measurements.
TASKS_EVERY_S = 3.4
# A new short task is polled at this interval, for this long.
YOUNG_EVERY_S = 1.0
YOUNG_S = 8.0
RESOURCES_EVERY_S = 10.0
# Shares of ``RESOURCES_EVERY_S``: the shortest time between whole lists, and the time of a node's list in between.
AT_LEAST = 0.7
BETWEEN = 0.6
# How many whole lists may follow each other without the list of a node in between.
WHOLE_LISTS_IN_TURN = 2
# Every fifth list of a node is replaced by a request for the user's privileges.
GRANTS_EVERY_TURNS = 5
# PVE measures every 10 s; after this time its list is newer than a live answer.
OVERLAY_S = 11.0
# Tasks that ended this long before the first poll count as new. The clocks may differ.
JUST_NOW_S = 60.0
RETRY_AFTER_S = (2.0, 4.0, 8.0, 10.0)
LIVE_AT_ONCE = 8

Publish = Callable[[Mapping[int, Row | Fields], list[int], dict[str, Any] | None], Awaitable[None]]
T = TypeVar("T")
KnownGuests = Callable[[list[Resource]], Awaitable[Mapping[int, Known]]]
# After these tasks a vmid may belong to another guest, or to none.
REPLACING = frozenset({"vzcreate", "vzrestore", "vzdestroy", "qmcreate", "qmrestore", "qmdestroy"})
# Short tasks that change the guest's state.
SHORT = frozenset({"vzstart", "vzstop", "vzshutdown", "vzreboot", "vzsuspend", "vzresume", "vzdestroy"})


@dataclass(slots=True)
class _Overlay:
    until: float
    fields: Fields | None  # None: the guest is gone


@dataclass(slots=True)
class Poller:
    """``publish(changed, gone, meta)`` is awaited for each change, and as a heartbeat with each poll of the tasks.
    ``meta.error``: the stored message that says why PVE does not answer.

    ``rows`` and ``nodes``: the last ones of the previous poller. ``known(resources)``: the dashboard's own guests among
    them. ``doubt(vmid)``: the vmid may belong to another guest now. ``touch(vmid, node)``: request a guest's live state
    at once, after an act.
    """

    client: ProxmoxClient
    known: KnownGuests
    publish: Publish
    rows: Rows = field(default_factory=dict)
    nodes: list[Fields] = field(default_factory=list)
    doubt: Callable[[int], None] = lambda _: None
    _rates: Rates = field(default_factory=Rates)
    _overlays: dict[int, _Overlay] = field(default_factory=dict)
    _ran: dict[str, bool] = field(default_factory=dict)
    _tasks_seen: bool = False
    _listed: list[Fields] = field(default_factory=list)
    _touched: dict[int, str] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _refreshes: Refreshes = field(default_factory=Refreshes)
    _next_whole: float = 0.0
    _next_between: float = math.inf
    _nodes_asked: int = 0
    _whole_lists: int = 0
    _first_seen: dict[str, float] = field(default_factory=dict)
    _busy: dict[int, str] = field(default_factory=dict)
    _nodes_listed: list[Resource] = field(default_factory=list)
    _answered: dict[str, bool] = field(default_factory=dict)
    _turns: int = 0
    _grants: Grants | None = None
    _failures: int = 0
    _failing_since: float = 0.0
    _version: str = ""

    def touch(self, vmid: int, node: str) -> None:
        self._touched[vmid] = node
        self._wake.set()

    async def run(self) -> None:
        """Poll until cancelled. Raises ``AuthError`` when PVE refuses the ticket."""
        while True:
            try:
                await self._poll()
                self._recovered()
                pause = self._pause()
            except (ProxmoxError, PrivilegeError) as error:
                pause = await self._failed(error)
                self._next_whole = 0.0
            await self._sleep(pause)

    def _pause(self) -> float:
        """Seconds until the next poll. Polls divide the time until the next whole list evenly."""
        present = time.monotonic()
        left = max(0.0, self._next_whole - present)
        if any(present - seen < YOUNG_S for seen in self._first_seen.values()):
            return min(left, YOUNG_EVERY_S)
        return left / max(1, round(left / TASKS_EVERY_S))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _poll(self) -> None:
        self._wake.clear()
        if not self._version:
            self._version = (await self.client.version()).version
        tasks = await self._tasks()
        ended = self._ended(tasks)
        present = time.monotonic()
        between = present >= self._next_between
        if between:
            self._next_between = math.inf
        instead = between and self._is_whole_due()
        whole = instead or present >= self._next_whole
        listed = await self._list() if whole else None
        if between and not instead:
            await self._ask_between()
        touched = {**ended, **self._touched}
        self._touched.clear()
        await self._ask_live(touched)
        await self._show(tasks, listed)

    async def _list(self) -> Rows:
        """``GET /cluster/resources`` as rows. Does not keep PVE's list, which is as large as all rows."""
        resources = await self.client.cluster.resources()
        self._plan(resources)
        if not self._turns and self._grants is None:
            await self._ask_grants()
        return from_resources(resources, await self.known(resources), self.rows, self._rates, time.time())

    async def _ask_between(self) -> None:
        self._whole_lists = 0
        self._turns += 1
        if self._turns % GRANTS_EVERY_TURNS == 0:
            await self._ask_grants()
        else:
            await self._ask_node()

    async def _ask_grants(self) -> None:
        """``GET /access/permissions``: the user's privileges."""
        try:
            self._grants = await self.client.access.grants()
        except (ApiError, PrivilegeError) as error:
            log.info("permissions unavailable", cause=str(error))

    async def _hear(self, node: str, call: Awaitable[T]) -> T:
        """Await a call that PVE passes to the pvedaemon of ``node``, and note whether it answered."""
        try:
            answer = await call
        except UnreachableError:
            self._answered[node] = False
            raise
        self._answered[node] = True
        return answer

    def _is_whole_due(self) -> bool:
        """Whether a node has measured since the last whole list, and the list of one node can wait."""
        in_turn = self._whole_lists < WHOLE_LISTS_IN_TURN
        return in_turn and self._refreshes.is_due(time.time(), RESOURCES_EVERY_S)

    def _plan(self, listed: list[Resource]) -> None:
        """Set when the next whole list is requested, and when the list of one node before it."""
        at, present = time.time(), time.monotonic()
        self._nodes_listed = [r for r in listed if r.type == "node"]
        self._refreshes.see_listed(listed, at)
        newer = self._refreshes.next(RESOURCES_EVERY_S)
        least = AT_LEAST * RESOURCES_EVERY_S
        after = RESOURCES_EVERY_S if newer is None else max(least, newer - at)
        self._next_whole, self._next_between = present + after, present + BETWEEN * after
        self._whole_lists += 1
        if not self._nodes_asked:  # the first list of a node shows when PVE measures
            self._next_between = present
        elif after < 1.1 * least and self._whole_lists < WHOLE_LISTS_IN_TURN:
            self._next_between = math.inf

    async def _ask_node(self) -> None:
        """``GET /nodes/{node}/lxc`` of the next node in turn. A guest whose state differs from its row gets an overlay."""
        nodes = [r.node for r in self._nodes_listed if r.status in UP]
        if not nodes:
            return
        node = nodes[self._nodes_asked % len(nodes)]
        self._nodes_asked += 1
        try:
            guests = await self._hear(node, self.client.lxc.list(node))
        except (ProxmoxError, PrivilegeError) as error:
            log.info("node list unavailable", node=node, cause=str(error))
            return
        at = time.time()
        self._refreshes.see_live(guests, at)
        for guest in guests:
            row = self.rows.get(guest.vmid)
            if row and row.node == node and guest.status not in {"", row.status}:
                self._lay(guest.vmid, live_fields(guest, node, row, at))

    def _lay(self, vmid: int, fields: Fields | None) -> None:
        self._overlays[vmid] = _Overlay(time.monotonic() + OVERLAY_S, fields)

    async def _tasks(self) -> list[TaskInfo]:
        """The cluster's tasks; empty if the user may not list them."""
        try:
            return list(await self.client.cluster.tasks())
        except PrivilegeError:
            return []

    def _ended(self, tasks: list[TaskInfo]) -> dict[int, str]:
        """The node by vmid of guests whose task ended since the last poll, or just before the first one."""
        over = [
            task
            for task in tasks
            if task.id.isdecimal() and not task.running and self._ran.get(task.upid, self._is_new(task))
        ]
        for task in over:
            if task.type in REPLACING:
                self.doubt(int(task.id))
        ended = {int(task.id): task.node for task in over}
        self._ran = {task.upid: task.running for task in tasks}
        seen = time.monotonic() if self._tasks_seen else -math.inf
        running = [task.upid for task in tasks if task.running and task.type in SHORT]
        self._first_seen = {upid: self._first_seen.get(upid, seen) for upid in running}
        self._tasks_seen = True
        return ended

    def _is_new(self, task: TaskInfo) -> bool:
        return self._tasks_seen or task.endtime > time.time() - JUST_NOW_S

    async def _ask_live(self, guests: Mapping[int, str]) -> None:
        limit = asyncio.Semaphore(LIVE_AT_ONCE)

        async def ask(vmid: int, node: str) -> None:
            async with limit:
                try:
                    live = await self._live(vmid, node)
                except (UnreachableError, ApiError) as error:  # the next list has the guest
                    log.info("guest state unavailable", vmid=vmid, cause=str(error))
                    return
                self._lay(vmid, live)

        await asyncio.gather(*(ask(vmid, node) for vmid, node in guests.items()))

    async def _live(self, vmid: int, node: str) -> Fields | None:
        """The guest's live fields; None if no node shows it, or if it is a template.

        A task names the node that it ran on, which the guest may have left. Raises ``UnreachableError``, and ``ApiError``
        if the guest is there and its state cannot be read.
        """
        before = self.rows.get(vmid)
        at = before.node if before and before.node else node
        try:
            try:
                status = await self._hear(at, self.client.lxc.status(at, vmid))
            except ApiError:
                found = await self.client.cluster.find_guest(vmid)
                if found is None or found.type != "lxc":
                    return None
                if found.node == at:
                    raise
                at = found.node
                status = await self._hear(at, self.client.lxc.status(at, vmid))
        except PrivilegeError:
            return None
        return None if status.template else live_fields(status, at, before, time.time())

    async def _show(self, tasks: list[TaskInfo], listed: Rows | None) -> None:
        """Publish what changed. ``listed``: the rows of the whole list, None for a poll of the tasks only."""
        whole = listed is not None
        at, busy = time.time(), busy_guests(tasks)
        new = dict(self.rows) if listed is None else listed
        self._lay_over(new)
        for vmid in busy.keys() | self._busy.keys():
            if vmid in new:
                new[vmid] = laid_over(new[vmid], vmid, {"busy": busy.get(vmid, "")})
        self._busy = busy
        changed, gone = difference(self.rows, new)
        self.rows = new
        meta = self._meta(at, whole=whole, counted=bool(changed or gone))
        await self.publish(changed, gone, meta | self._tasks_of(running_tasks(tasks), whole=whole))

    def _tasks_of(self, running: list[Fields], *, whole: bool) -> Fields:
        """The running tasks if they changed, and with every whole list."""
        meta = {"tasks": running} if whole or running != self._listed else {}
        self._listed = running
        return meta

    def _lay_over(self, rows: Rows) -> None:
        present = time.monotonic()
        self._overlays = {vmid: o for vmid, o in self._overlays.items() if o.until > present}
        for vmid, overlay in self._overlays.items():
            if overlay.fields is None:
                rows.pop(vmid, None)
            else:
                rows[vmid] = laid_over(rows.get(vmid), vmid, overlay.fields)

    def _meta(self, at: float, *, whole: bool, counted: bool) -> dict[str, Any]:
        """The time of the poll, changed nodes, and after a whole list version and privileges too."""
        meta: dict[str, Any] = {"at": round(at, 1)}
        if whole or counted or self._answered:
            nodes = nodes_of(self._nodes_listed, self.rows, self.nodes, at, self._answered)
            self._answered = {}
        else:
            nodes = self.nodes
        if whole or nodes != self.nodes:
            self.nodes = meta["nodes"] = nodes
        if whole and self._grants is not None:
            meta["rights"] = rights_of(self._grants, self.rows, sorted(needed_at_guests()))
        return meta | ({"version": self._version, "error": "", "failing": 0} if whole else {})

    def _recovered(self) -> None:
        if self._failures:
            log.info(
                "pve answers again",
                endpoint=self.client.endpoint.name,
                after_s=round(time.time() - self._failing_since),
            )
        self._failures = 0

    async def _failed(self, error: ProxmoxError | PrivilegeError) -> float:
        """Log the first failure in a row, and publish its cause and start. Returns the seconds until the next poll.

        A refusal counts as a failure too: the user's other sessions have the same privileges. The rows are kept.
        """
        if not self._failures:
            self._failing_since = time.time()
            log.warning("pve does not answer", endpoint=self.client.endpoint.name, cause=str(error))
        pause = RETRY_AFTER_S[min(self._failures, len(RETRY_AFTER_S) - 1)]
        self._failures += 1
        self._answered = {}  # no answers in this poll
        cause = error.reason.to_json()
        away = isinstance(error, UnreachableError)
        await self.publish({}, [], {"error": cause, "failing": int(self._failing_since), "away": away})
        return pause
