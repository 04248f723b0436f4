"""``/nodes``: the machines, their networks, storages and OS templates."""

from __future__ import annotations

import builtins

from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import many, one
from lxc_dashboard.proxmox.schemas import Appliance, NetworkDevice, Node, NodeStatus, NodeStorage, Version
from lxc_dashboard.proxmox.shapes import UPID

_NODES = many(Node)
_STATUS = one(NodeStatus)
_NETWORK = many(NetworkDevice)
_STORAGE = many(NodeStorage)
_APPLIANCES = many(Appliance)
_VERSION = one(Version)


class Nodes(Noun):
    async def list(self) -> list[Node]:
        """``GET /nodes``."""
        return await self._caller.get("/nodes", _NODES)

    async def status(self, node: str) -> NodeStatus:
        """``GET /nodes/{node}/status``; needs Sys.Audit at the node."""
        return await self._caller.get(path_of("nodes", node, "status"), _STATUS)

    async def version(self, node: str) -> Version:
        """``GET /nodes/{node}/version``."""
        return await self._caller.get(path_of("nodes", node, "version"), _VERSION)

    async def network(self, node: str, kind: str | None = None) -> builtins.list[NetworkDevice]:
        """``GET /nodes/{node}/network``. ``kind``: any_bridge for every bridge that a guest may hang on."""
        return await self._caller.get(path_of("nodes", node, "network"), _NETWORK, {"type": kind})

    async def storage(self, node: str, content: str | None = None) -> builtins.list[NodeStorage]:
        """``GET /nodes/{node}/storage``. ``content``: only those that hold rootdir, vztmpl, backup, ..."""
        return await self._caller.get(path_of("nodes", node, "storage"), _STORAGE, {"content": content})

    async def aplinfo(self, node: str) -> builtins.list[Appliance]:
        """``GET /nodes/{node}/aplinfo``: the OS templates that can be downloaded."""
        return await self._caller.get(path_of("nodes", node, "aplinfo"), _APPLIANCES)

    async def download_appliance(self, node: str, storage: str, template: str) -> str:
        """``POST /nodes/{node}/aplinfo``: fetches ``template`` to ``storage``; the UPID of the task."""
        form = {"storage": storage, "template": template}
        return await self._caller.post(path_of("nodes", node, "aplinfo"), UPID, form)
