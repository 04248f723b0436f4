"""Figures of guests and nodes: live where PVE's are live, old where they come from pvestatd."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import structlog

from pve_sandbox.api.containers.lifecycle import Containers
from pve_sandbox.api.figures import GIB, IDLE, Figures, Limits, figures_at, limits_of, node_load

log = structlog.get_logger(__name__)

MINUTE_S = 60
GUESTS_AT_ONCE = 250
STOPPED_DISK_SHARE = 0.3
KEPT_MINUTES = 24 * 60
GUESTS_PER_NODE_SIZE = 50
NODE_MEMORY_BYTES = 64 * GIB
NODE_DISK_BYTES = 480 * GIB
UNKNOWN_AFTER_S = 300  # how long the cluster keeps the last figures of an offline node
OWN_MEMORY_BYTES = 3 * GIB


@dataclass(slots=True)
class Trace:
    """Measurements of a real guest: the last CPU reading, and one average a minute."""

    at: float = 0.0
    cpu_seconds: float = 0.0
    minutes: deque[tuple[int, Figures, int]] = field(default_factory=lambda: deque(maxlen=KEPT_MINUTES))

    def keep(self, now: float, figures: Figures) -> None:
        minute = int(now // MINUTE_S) * MINUTE_S
        if not self.minutes or self.minutes[-1][0] != minute:
            self.minutes.append((minute, figures, 1))
            return
        _, before, count = self.minutes.pop()
        cpu = (before.cpu * count + figures.cpu) / (count + 1)
        self.minutes.append((minute, figures._replace(cpu=cpu), count + 1))


class Statistics(Containers):
    """With ``stats_interval_s`` 0 all figures are live."""

    stats_interval_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guest_stats: dict[int, dict[str, Any]] = {}
        self.node_stats: dict[str, dict[str, Any]] = {}
        self.storage_used: dict[str, int] = {}
        self.traces: dict[int, Trace] = {}
        self.gone_since: dict[str, float] = {}

    # ------------------------------------------------------------- measure

    def limits(self, guest: Any) -> Limits:
        return limits_of(guest.config, self.node_processors)

    async def figures(self, guest: Any, now: float) -> Figures:
        """Measure a guest now. In the first sample of a real guest ``cpu`` is 0, as in PVE."""
        if guest.status != "running":
            return IDLE
        if guest.vmid in self.hosted:
            return await self._measure(guest, now)
        return figures_at(guest.vmid, now, now - (guest.started_at or now), self.limits(guest))

    async def _measure(self, guest: Any, now: float) -> Figures:
        if self.guest_host is None:
            return IDLE
        try:
            usage = await self.guest_host.usage(guest.vmid)
        except Exception as error:  # noqa: BLE001 - the guest may end during the measurement
            log.debug("guest not measured", vmid=guest.vmid, error=str(error))
            return IDLE
        trace = self.traces.setdefault(guest.vmid, Trace())
        passed, used = now - trace.at, usage.cpu_seconds - trace.cpu_seconds
        is_known = trace.at and passed < 10 * MINUTE_S and used >= 0
        cpu = min(used / max(passed, 0.1) / self.limits(guest).cores, 1.0) if is_known else 0.0
        if passed >= 1 or not is_known:
            trace.at, trace.cpu_seconds = now, usage.cpu_seconds
        traffic = (usage.network_in_bytes, usage.network_out_bytes)
        return Figures(cpu, usage.memory_bytes, usage.disk_bytes, *traffic, 0, 0)

    # -------------------------------------------------- what is handed on

    async def run_statistics(self) -> None:
        """Measure again and again, as pvestatd does."""
        while True:
            await self.take_statistics()
            await asyncio.sleep(self.stats_interval_s or MINUTE_S)

    async def take_statistics(self) -> None:
        """Measure everything once. ``/cluster/resources`` shows the result until the next measurement."""
        if self.faults.stale_stats and self.guest_stats:
            return
        now = time.time()
        self.sync_states()
        stats: dict[int, dict[str, Any]] = {}
        for number, guest in enumerate(list(self.cts), 1):
            if number % GUESTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # requests must not wait for thousands of guests
            if not self.is_online(guest.node):
                stats[guest.vmid] = self._last_known(guest, now)
                continue
            figures = await self.figures(guest, now)
            if guest.vmid in self.hosted:
                self.traces.setdefault(guest.vmid, Trace()).keep(now, figures)
            stats[guest.vmid] = self._resource_stats(guest, figures, now)
        self.guest_stats = {vmid: kept for vmid, kept in stats.items() if kept}
        self.storage_used = self._used_by_guests()
        self.node_stats = {node: self._node_figures(node, now) for node in self.nodes if self.is_online(node)}

    def is_online(self, node: str) -> bool:
        return bool(self.nodes.get(node, {}).get("online", True))

    def _last_known(self, guest: Any, now: float) -> dict[str, Any]:
        since = self.gone_since.get(guest.node, 0.0)
        return self.guest_stats.get(guest.vmid, {}) if now - since < UNKNOWN_AFTER_S * self.time_scale else {}

    def _resource_stats(self, guest: Any, figures: Figures, now: float) -> dict[str, Any]:
        limits = self.limits(guest)
        running = guest.status == "running"
        return {
            "name": guest.name,
            "status": guest.status,
            "template": int(guest.template),
            "uptime": int(now - guest.started_at) if running and guest.started_at else 0,
            "maxcpu": limits.cores,
            "maxmem": limits.memory_bytes,
            "maxdisk": limits.disk_bytes,
            "memhost": figures.mem if running else 0,
            **figures._asdict(),
        }

    def _used_by_guests(self) -> dict[str, int]:
        """The bytes that guests use on each storage. Volumes are thin."""
        used: dict[str, int] = {}
        for guest in self.cts:
            sid = str(guest.config.get("rootfs", "")).partition(":")[0]
            limits = self.limits(guest)
            full = self.guest_stats.get(guest.vmid, {}).get("disk") or int(limits.disk_bytes * STOPPED_DISK_SHARE)
            used[sid] = used.get(sid, 0) + full
        return used

    def _space(self, store: dict[str, Any]) -> tuple[int, int, int]:
        """Total, used and free bytes of a storage, including its guests."""
        total, used, free = super()._space(store)
        name = next((name for name, known in self.storages.items() if known is store), "")
        by_guests = min(self.storage_used.get(name, 0), free)
        return total, used + by_guests, free if "avail" in store else free - by_guests

    # --------------------------------------------------------------- nodes

    def node_size(self, node: str) -> tuple[int, int]:
        """Processors and bytes of memory. A node with more guests is larger."""
        guests = sum(1 for guest in self.cts if guest.node == node)
        factor = max(1, -(-guests // GUESTS_PER_NODE_SIZE))
        return self.node_processors * factor, NODE_MEMORY_BYTES * factor

    def _node_figures(self, node: str, now: float) -> dict[str, Any]:
        processors, memory = self.node_size(node)
        here = [guest.vmid for guest in self.cts if guest.node == node]
        stats = [self.guest_stats[vmid] for vmid in here if vmid in self.guest_stats]
        cpu = sum(s["cpu"] * s["maxcpu"] for s in stats) / processors
        used = sum(s["mem"] for s in stats) + OWN_MEMORY_BYTES
        return {
            "cpu": min(cpu + node_load(node, now), 0.99),
            "maxcpu": processors,
            "mem": min(used, int(memory * 0.95)),
            "maxmem": memory,
            "disk": 18 * GIB,
            "maxdisk": NODE_DISK_BYTES,
            "uptime": int(now - self.booted_at),
        }

    booted_at = 0.0

    # ---------------------------------------------------------------- live

    async def _live(self, guest: Any, now: float) -> dict[str, Any]:
        """The live fields of ``status/current`` and ``/nodes/{node}/lxc``."""
        data = self._status(guest)
        data.update((await self.figures(guest, now))._asdict())
        data.update(guest.stats)
        return {k: v for k, v in data.items() if v is not None}

    async def _lxc_list(self, user: str, v: dict[str, Any]) -> list[dict[str, Any]]:
        now = time.time()
        self.sync_states()
        here = [guest for guest in self.cts if guest.node == v["node"]]
        return [await self._live(g, now) for g in here if self.allowed(user, f"/vms/{g.vmid}", "VM.Audit")]

    async def _lxc_status_current(self, _user: str, v: dict[str, Any]) -> dict[str, Any]:
        guest = self._find_ct(v["node"], v["vmid"])
        ha = {"managed": 1, "state": guest.ha_state} if guest.ha_managed else {"managed": 0}
        return {**await self._live(guest, time.time()), "ha": ha}
