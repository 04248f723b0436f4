"""Figures of guests without processes, computed from vmid and time: chart and list agree."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from fakepve.lxc import parse_size

MIB = 1024**2
GIB = 1024**3
DEFAULT_DISK_BYTES = 4 * GIB
SCATTER = 2654435761  # Knuth's multiplier: neighbouring vmids get different figures


class Figures(NamedTuple):
    """``cpu`` is the share of the guest's own processors. The rest is bytes, counters since the start."""

    cpu: float
    mem: int
    disk: int
    netin: int
    netout: int
    diskread: int
    diskwrite: int


IDLE = Figures(0.0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    cores: float
    memory_bytes: int
    disk_bytes: int


def limits_of(config: dict[str, Any], processors: int) -> Limits:
    """The limits in a container's configuration. Without ``cores`` it has all processors of the node."""
    cores = config.get("cores") or config.get("cpulimit") or processors
    return Limits(cores, int(config.get("memory") or 512) * MIB, _disk_bytes(config.get("rootfs", "")))


@functools.lru_cache(maxsize=16384)
def _disk_bytes(rootfs: str) -> int:
    return parse_size(rootfs.rpartition("size=")[2].partition(",")[0]) or DEFAULT_DISK_BYTES


def guest_constant(vmid: int, which: int) -> float:
    """Return a constant of this guest, from 0 to 1."""
    return ((vmid * 8 + which) * SCATTER % 2**32) / 2**32


def figures_at(vmid: int, now: float, uptime_s: float, limits: Limits) -> Figures:
    """Compute the figures of a guest that has been running for ``uptime_s``."""
    phase = guest_constant(vmid, 0) * math.tau
    load = 0.01 + 0.25 * guest_constant(vmid, 1) ** 2
    sway = 1 + 0.5 * math.sin(now / 97 + phase) + 0.3 * math.sin(now / 13 + 2 * phase)
    memory = 0.15 + 0.6 * guest_constant(vmid, 2) + 0.05 * math.sin(now / 311 + phase)
    disk = 0.1 + 0.6 * guest_constant(vmid, 3) + 0.02 * math.sin(now / 86400 + phase)
    # A counter may grow unevenly but must not fall: the slope stays above zero.
    grown = uptime_s + 40 * math.sin(uptime_s / 60)
    traffic, io = 50 + 80_000 * guest_constant(vmid, 4) ** 3, 20 + 60_000 * guest_constant(vmid, 5) ** 3
    return Figures(
        min(max(load * sway, 0.0005), 1.0),
        int(limits.memory_bytes * memory),
        int(limits.disk_bytes * disk),
        int(grown * traffic),
        int(grown * traffic * (0.2 + 0.6 * guest_constant(vmid, 6))),
        int(grown * io * 0.4),
        int(grown * io),
    )


def node_load(name: str, now: float) -> float:
    """The share of a node's processors that the node itself uses."""
    return 0.03 + 0.015 * math.sin(now / 41 + len(name) + ord(name[-1]))
