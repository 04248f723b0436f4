"""One poller: keeps the rows of one user at one endpoint true, with at most 30 requests a minute while nothing happens.

``/cluster/resources`` is whole but up to 10 s old, ``/cluster/tasks`` tells of starts and ends at once, and ``status/current`` is live:
what a task just touched is asked there and laid over the old rows until these must have caught up.

pveproxy answers the first two by itself. ``/nodes/{node}/lxc``, asked of one node in turn, shows whether that node's pvedaemon runs, without which every act fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from lxc_dashboard.errors import ApiError, PrivilegeError, ProxmoxError, UnreachableError
from lxc_dashboard.proxmox.access import Grants
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.schemas import Resource, TaskInfo
from lxc_dashboard.services.monitor.overview import UP, consoles_of, nodes_of
from lxc_dashboard.services.monitor.rows import (
    Known,
    Rates,
    Row,
    Rows,
    busy_guests,
    complete,
    difference,
    from_resources,
    live_fields,
    running_tasks,
)

log = structlog.get_logger(__name__)

TASKS_EVERY_S = 3.0
RESOURCES_EVERY_S = 12.0
# Of the whole looks, every fifth asks what the user may do, in place of a node's daemon.
GRANTS_EVERY_LOOKS = 5
# PVE refreshes its figures every 10 s; past this what it lists is newer than what we asked live.
OVERLAY_S = 11.0
# Before the first look, of which the list may not know yet; by two clocks that need not agree.
JUST_NOW_S = 60.0
RETRY_AFTER_S = (2.0, 4.0, 8.0, 10.0)
LIVE_AT_ONCE = 8

Publish = Callable[[dict[int, Row], list[int], dict[str, Any] | None], Awaitable[None]]
T = TypeVar("T")
KnownGuests = Callable[[list[Resource]], Awaitable[Mapping[int, Known]]]
# Tasks after which a vmid may be another guest, or none.
REPLACING = frozenset({"vzcreate", "vzrestore", "vzdestroy", "qmcreate", "qmrestore", "qmdestroy"})


@dataclass(slots=True)
class _Overlay:
    until: float
    fields: Row | None  # None: the guest is gone


@dataclass(slots=True)
class Poller:
    """``publish(changed, gone, meta)`` is awaited for each change and, as a sign of life, with each look at the tasks.

    ``rows`` and ``nodes`` are what whoever polled before has said last. ``known(resources)`` tells which of them are the
    product's own; ``doubt(vmid)``: that it may be another guest by now. ``touch(vmid, node)`` has a
    guest asked live at once, after an act of our own.
    """

    client: ProxmoxClient
    known: KnownGuests
    publish: Publish
    rows: Rows = field(default_factory=dict)
    nodes: list[Row] = field(default_factory=list)
    doubt: Callable[[int], None] = lambda _: None
    _rates: Rates = field(default_factory=Rates)
    _overlays: dict[int, _Overlay] = field(default_factory=dict)
    _ran: dict[str, bool] = field(default_factory=dict)
    _tasks_seen: bool = False
    _listed: list[Row] = field(default_factory=list)
    _touched: dict[int, str] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _resources: list[Resource] = field(default_factory=list)
    _heard: dict[str, bool] = field(default_factory=dict)
    _turn: int = 0
    _whole_looks: int = 0
    _grants: Grants | None = None
    _failures: int = 0
    _failing_since: float = 0.0
    _version: str = ""

    def touch(self, vmid: int, node: str) -> None:
        self._touched[vmid] = node
        self._wake.set()

    async def run(self) -> None:
        """Poll until cancelled. Raises AuthError when the ticket is no longer taken: another session must lend its own."""
        next_resources = 0.0
        while True:
            started = time.monotonic()
            try:
                whole = started >= next_resources
                await self._look(whole=whole)
                if whole:
                    next_resources = started + RESOURCES_EVERY_S
                self._recovered()
                pause = TASKS_EVERY_S - (time.monotonic() - started)
            except (ProxmoxError, PrivilegeError) as error:
                pause = await self._failed(error)
                next_resources = 0.0
            await self._sleep(max(0.0, pause))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self, *, whole: bool) -> None:
        self._wake.clear()
        if not self._version:
            self._version = (await self.client.version()).version
        tasks = await self._tasks()
        ended = self._ended(tasks)
        asks_grants = whole and self._whole_looks % GRANTS_EVERY_LOOKS == 0
        if whole:
            self._resources = await self.client.cluster.resources()
        if asks_grants:
            await self._ask_grants()
        touched = {**ended, **self._touched}
        self._touched.clear()
        await self._ask_live(touched)
        await self._show(tasks, whole=whole)
        if whole and (not asks_grants or not self._whole_looks):
            await self._ask_daemon()
        self._whole_looks += whole

    async def _ask_grants(self) -> None:
        try:
            self._grants = await self.client.access.grants()
        except (ApiError, PrivilegeError) as error:
            log.info("permissions not told", cause=str(error))

    async def _ask_daemon(self) -> None:
        """Ask one node that is up, the next one each time. The next look shows what came of it."""
        up = [r.node for r in self._resources if r.type == "node" and r.status in UP]
        if not up:
            return
        self._turn = (self._turn + 1) % len(up)
        node = up[self._turn]
        try:
            await self._hear(node, self.client.lxc.list(node))
        except (ProxmoxError, PrivilegeError) as error:
            log.info("pvedaemon not heard", cause=str(error))

    async def _hear(self, node: str, call: Awaitable[T]) -> T:
        """The result of a call that PVE hands to the pvedaemon of ``node``. Notes whether one came."""
        try:
            answer = await call
        except UnreachableError:
            self._heard[node] = False
            raise
        self._heard[node] = True
        return answer

    async def _tasks(self) -> list[TaskInfo]:
        """The cluster's tasks; none where this user may not list them."""
        try:
            return list(await self.client.cluster.tasks())
        except PrivilegeError:
            return []

    def _ended(self, tasks: list[TaskInfo]) -> dict[int, str]:
        """Guests, with their node, whose task ended since the last look, or just before the first one."""
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
                except (UnreachableError, ApiError) as error:  # the list says where it is, and the others are there
                    log.info("guest not asked", vmid=vmid, cause=str(error))
                    return
                self._overlays[vmid] = _Overlay(time.monotonic() + OVERLAY_S, live)

        await asyncio.gather(*(ask(vmid, node) for vmid, node in guests.items()))

    async def _live(self, vmid: int, node: str) -> Row | None:
        """None where it is on no node that shows it, or a template. A task names the node that it ran on: a guest may have
        left that by it. Raises ``UnreachableError``, ``ApiError`` where it is still there and does not tell how it stands.
        """
        before = self.rows.get(vmid, {})
        at = before.get("node") or node
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

    async def _show(self, tasks: list[TaskInfo], *, whole: bool) -> None:
        at, busy = time.time(), busy_guests(tasks)
        if whole:
            new = from_resources(self._resources, await self.known(self._resources), self.rows, self._rates, at)
        else:
            new = {vmid: dict(row) for vmid, row in self.rows.items()}
        self._lay_over(new)
        for vmid, row in new.items():
            row["busy"] = busy.get(vmid, "")
        changed, gone = difference(self.rows, new)
        self.rows = new
        meta = self._meta(at, whole=whole, counted=bool(changed or gone))
        await self.publish(changed, gone, meta | self._tasks_of(running_tasks(tasks), whole=whole))

    def _tasks_of(self, running: list[Row], *, whole: bool) -> Row:
        """What runs in PVE, where that is another than was told, and with every whole list."""
        told = {"tasks": running} if whole or running != self._listed else {}
        self._listed = running
        return told

    def _lay_over(self, rows: Rows) -> None:
        present = time.monotonic()
        self._overlays = {vmid: o for vmid, o in self._overlays.items() if o.until > present}
        for vmid, overlay in self._overlays.items():
            if overlay.fields is None:
                rows.pop(vmid, None)
            else:
                rows[vmid] = complete({**rows.get(vmid, {}), **overlay.fields})

    def _meta(self, at: float, *, whole: bool, counted: bool) -> dict[str, Any]:
        """The age of it all; of a whole look the rest too; the nodes where one of their figures changed."""
        told: dict[str, Any] = {"at": round(at, 1)}
        if whole or counted or self._heard:
            nodes = nodes_of(self._resources, self.rows, self.nodes, at, self._heard)
            self._heard = {}
        else:
            nodes = self.nodes
        if whole or nodes != self.nodes:
            self.nodes = told["nodes"] = nodes
        if whole and self._grants is not None:
            told["consoles"] = consoles_of(self._grants, self.rows)
        return told | ({"version": self._version, "error": "", "failing": 0} if whole else {})

    def _recovered(self) -> None:
        if self._failures:
            log.info(
                "pve answers again",
                endpoint=self.client.endpoint.name,
                after_s=round(time.time() - self._failing_since),
            )
        self._failures = 0

    async def _failed(self, error: ProxmoxError | PrivilegeError) -> float:
        """A refusal is told as a silence is: the user's other sessions may do no more. Told once in the log and, with the time it began, on the page; the rows stay, with their age."""
        if not self._failures:
            self._failing_since = time.time()
            log.warning("pve does not answer", endpoint=self.client.endpoint.name, cause=str(error))
        pause = RETRY_AFTER_S[min(self._failures, len(RETRY_AFTER_S) - 1)]
        self._failures += 1
        self._heard = {}  # nobody was heard
        cause = error.user_message.rstrip(".")
        away = isinstance(error, UnreachableError)
        await self.publish({}, [], {"error": cause, "failing": int(self._failing_since), "away": away})
        return pause
