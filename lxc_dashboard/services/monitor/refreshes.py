"""When PVE measured the figures in ``/cluster/resources``. pvestatd measures every 10 s, at its own time on each node.

The answer has no timestamp. A guest's uptime in it is as old as the figures, while its uptime in ``/nodes/{node}/lxc`` is
live. The difference shows when the node measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from lxc_dashboard.proxmox.schemas import Guest, Resource

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
        """``guests``: the list of one node as of ``at``."""
        self._started |= {guest.vmid: at - guest.uptime for guest in guests if guest.uptime > 0}

    def see_listed(self, resources: Iterable[Resource], at: float) -> None:
        """``resources``: the cluster's list as of ``at``."""
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
