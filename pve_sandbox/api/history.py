"""``rrddata``: an hour to a year of each guest, node and storage, with gaps."""

from __future__ import annotations

import time
from typing import Any

from fakepve.model import PveError

from pve_sandbox.api.access.privileges import Routes
from pve_sandbox.api.checks import Values
from pve_sandbox.api.figures import Figures, Limits, figures_at, guest_constant, node_load
from pve_sandbox.api.statistics import Statistics

# timeframe -> (seconds a point, points), as in PVE 9
FRAMES = {"hour": (60, 60), "day": (60, 1440), "week": (1800, 336), "month": (1800, 1440), "year": (21600, 1440)}
DAY_S = 86400
OUTAGE_S = (2 * 3600, 2 * 3600 + 900)  # each night there are no measurements for 15 minutes
OUTAGE_AT_MOST_S = 900
RATES = ("netin", "netout", "diskread", "diskwrite")
PRESSURES = tuple(f"pressure{res}{kind}" for res in ("cpu", "io", "memory") for kind in ("some", "full"))


class History(Statistics):
    """A gap is a point with only a time."""

    def _routes_history(self) -> Routes:
        return [
            ("GET", "/nodes/{node}/lxc/{vmid}/rrddata", self._guest_history),
            ("GET", "/nodes/{node}/rrddata", self._node_history),
            ("GET", "/nodes/{node}/storage/{storage}/rrddata", self._storage_history),
        ]

    async def _guest_history(self, v: Values, _user: str) -> list[Values]:
        guest = self._find_ct(v["node"], v["vmid"])
        measured = self._measured(guest) if guest.vmid in self.hosted else None
        return [self._guest_point(guest, at, step, measured) for at, step in _times(v["timeframe"])]

    def _measured(self, guest: Any) -> dict[int, Figures]:
        trace = self.traces.get(guest.vmid)
        return {minute: figures for minute, figures, _ in trace.minutes} if trace else {}

    def _guest_point(self, guest: Any, at: int, step: int, measured: dict[int, Figures] | None) -> Values:
        limits = self.limits(guest)
        if measured is not None:
            now, before = measured.get(at - at % 60), measured.get(at - at % 60 - 60)
            if now is None:
                return {"time": at}
            return _point(at, now, before, 60, limits)
        started = guest.started_at
        if _is_hole(at, step) or guest.status != "running" or started is None or at < started:
            return {"time": at}
        now = figures_at(guest.vmid, at, at - started, limits)
        before = figures_at(guest.vmid, at - step, max(at - step - started, 0), limits)
        return _point(at, now, before, step, limits)

    async def _node_history(self, v: Values, _user: str) -> list[Values]:
        stats = self._node_figures(v["node"], time.time())
        return [self._node_point(v["node"], stats, at, step) for at, step in _times(v["timeframe"])]

    def _node_point(self, node: str, stats: Values, at: int, step: int) -> Values:
        if _is_hole(at, step) or at < self.booted_at:
            return {"time": at}
        own = node_load(node, at)
        used = stats["mem"] * (0.9 + 2 * own)
        cpu = min(stats["cpu"] * (0.7 + 10 * own), 1.0)
        return {
            "time": at,
            "cpu": cpu,
            "iowait": cpu / 20,
            "loadavg": cpu * stats["maxcpu"],
            "maxcpu": stats["maxcpu"],
            "memtotal": stats["maxmem"],
            "memused": min(used, stats["maxmem"]),
            "memavailable": max(stats["maxmem"] - used, 0),
            "netin": own * 4e6,
            "netout": own * 3e6,
            "roottotal": stats["maxdisk"],
            "rootused": stats["disk"],
            "swaptotal": 0,
            "swapused": 0,
            **dict.fromkeys(PRESSURES, 0.0),
        }

    async def _storage_history(self, v: Values, _user: str) -> list[Values]:
        if v["storage"] not in self.storages:
            raise PveError(500, f"storage '{v['storage']}' does not exist")
        total, used, _ = self._space(self.storages[v["storage"]])
        return [
            {"time": at} if _is_hole(at, step) else {"time": at, "total": total, "used": used}
            for at, step in _times(v["timeframe"])
        ]


def _times(timeframe: str) -> list[tuple[int, int]]:
    step, points = FRAMES[timeframe]
    last = int(time.time()) // step * step
    return [(last - step * back, step) for back in range(points - 1, -1, -1)]


def _is_hole(at: int, step: int) -> bool:
    """Whether ``at`` is in the nightly gap. Points longer than the gap average over it."""
    return step <= OUTAGE_AT_MOST_S and OUTAGE_S[0] <= at % DAY_S < OUTAGE_S[1]


def _point(at: int, now: Figures, before: Figures | None, step: int, limits: Limits) -> Values:
    earlier = before or now
    rates = {name: max(getattr(now, name) - getattr(earlier, name), 0) / step for name in RATES}
    pressure = {name: round(now.cpu * 5 * guest_constant(index, 1), 2) for index, name in enumerate(PRESSURES)}
    return {
        "time": at,
        "cpu": now.cpu,
        "maxcpu": limits.cores,
        "mem": now.mem,
        "maxmem": limits.memory_bytes,
        "memhost": now.mem,
        "disk": now.disk,
        "maxdisk": limits.disk_bytes,
        **rates,
        **pressure,
    }
