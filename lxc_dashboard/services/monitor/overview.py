"""The endpoint at a glance: its nodes and how many containers run there."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxc_dashboard.services.auth import acting

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import Resource
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """``cpu`` is a share of 1; memory in bytes; ``uptime_s`` seconds. All figures up to 10 s old, 0 while offline."""

    name: str
    online: bool
    cpu: float
    cores: int
    memory: int
    memory_total: int
    uptime_s: int
    containers: int
    running: int


@dataclass(frozen=True, slots=True)
class Overview:
    version: str
    nodes: tuple[NodeSummary, ...]

    @property
    def online(self) -> int:
        return sum(node.online for node in self.nodes)

    @property
    def containers(self) -> int:
        return sum(node.containers for node in self.nodes)

    @property
    def running(self) -> int:
        return sum(node.running for node in self.nodes)


async def overview(runtime: Runtime, session: Session) -> Overview:
    """``GET /cluster/resources`` and ``GET /version``, at once. Lists what the user may see."""
    client = await acting.client(runtime, session)
    resources, version = await asyncio.gather(client.cluster.resources(), client.version())
    guests = [resource for resource in resources if resource.type == "lxc"]
    nodes = sorted(
        (resource for resource in resources if resource.type == "node"), key=lambda found: as_read(found.node)
    )
    return Overview(version.version, tuple(_summary(node, guests) for node in nodes))


def as_read(name: str) -> list[tuple[int, str]]:
    """Sort key: pve2 comes before pve10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", name)]


def _summary(node: Resource, guests: list[Resource]) -> NodeSummary:
    here = [guest for guest in guests if guest.node == node.node]
    online = node.status == "online"
    return NodeSummary(
        name=node.node,
        online=online,
        cpu=node.cpu if online else 0.0,
        cores=int(node.maxcpu),
        memory=node.mem if online else 0,
        memory_total=node.maxmem,
        uptime_s=node.uptime if online else 0,
        containers=len(here),
        running=sum(guest.status == "running" for guest in here),
    )
