from __future__ import annotations

from msgspec import Struct

from lxc_dashboard.proxmox.schemas.text import words


class Resource(Struct, frozen=True, gc=False):
    """A line of ``GET /cluster/resources``: guest (lxc, qemu), node, storage, pool, sdn or network.

    Status and figures are pvestatd's and up to 10 s old. ``vmid`` is 0 for what is no guest.
    """

    type: str
    id: str = ""
    node: str = ""
    status: str = ""
    vmid: int = 0
    name: str = ""
    pool: str = ""
    tags: str = ""
    lock: str = ""
    hastate: str = ""
    template: bool = False
    cpu: float = 0.0
    maxcpu: float = 0.0
    mem: int = 0
    maxmem: int = 0
    memhost: int = 0
    disk: int = 0
    maxdisk: int = 0
    diskread: int = 0
    diskwrite: int = 0
    netin: int = 0
    netout: int = 0
    uptime: int = 0
    storage: str = ""
    plugintype: str = ""
    content: str = ""
    shared: bool = False
    level: str = ""

    @property
    def is_guest(self) -> bool:
        return self.type in {"lxc", "qemu"}

    @property
    def tag_list(self) -> tuple[str, ...]:
        return words(self.tags)


class ClusterEntry(Struct, frozen=True):
    """A line of ``GET /cluster/status``: the cluster itself (``type`` cluster), or a node.

    A single node has no line for a cluster.
    """

    type: str
    name: str
    id: str = ""
    nodeid: int = 0
    online: bool = False
    local: bool = False
    ip: str = ""
    level: str = ""
    quorate: bool = False
    nodes: int = 0
    version: int = 0


class Vnet(Struct, frozen=True):
    """A line of ``GET /cluster/sdn/vnets``: a virtual network, a bridge on the nodes of its zone."""

    vnet: str
    zone: str = ""


class Pool(Struct, frozen=True):
    poolid: str
    comment: str = ""
