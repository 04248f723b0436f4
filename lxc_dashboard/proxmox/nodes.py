"""``/nodes/{node}``: nodes, their networks, storages, backups, and the virtual machines beside containers."""

from __future__ import annotations

import builtins
import re
from typing import Any, Final, Literal

from lxc_dashboard.proxmox.caller import Form, Noun, path_of
from lxc_dashboard.proxmox.decoding import MAYBE_UPID, UPID, Shape, many, one, plain
from lxc_dashboard.proxmox.schemas import (
    Appliance,
    Content,
    NetworkDevice,
    Node,
    NodeStatus,
    NodeStorage,
    StorageStatus,
    split_property_string,
)

_NODES = many(Node)
_STATUS = one(NodeStatus)
_NETWORK = many(NetworkDevice)
_STORAGE = many(NodeStorage)
_APPLIANCES = many(Appliance)


class Nodes(Noun):
    async def list(self) -> list[Node]:
        """``GET /nodes``."""
        return await self._caller.get("/nodes", _NODES)

    async def status(self, node: str) -> NodeStatus:
        """``GET /nodes/{node}/status``. Needs Sys.Audit at the node."""
        return await self._caller.get(path_of("nodes", node, "status"), _STATUS)

    async def network(self, node: str, kind: str | None = None) -> builtins.list[NetworkDevice]:
        """``GET /nodes/{node}/network``. ``kind`` any_bridge: every bridge that a guest can use."""
        return await self._caller.get(path_of("nodes", node, "network"), _NETWORK, {"type": kind})

    async def storage(self, node: str, content: str | None = None) -> builtins.list[NodeStorage]:
        """``GET /nodes/{node}/storage``. ``content``: only storages for rootdir, vztmpl, backup, ..."""
        return await self._caller.get(path_of("nodes", node, "storage"), _STORAGE, {"content": content})

    async def aplinfo(self, node: str) -> builtins.list[Appliance]:
        """``GET /nodes/{node}/aplinfo``: the OS templates that PVE can download."""
        return await self._caller.get(path_of("nodes", node, "aplinfo"), _APPLIANCES)

    async def download_appliance(self, node: str, storage: str, template: str) -> str:
        """``POST /nodes/{node}/aplinfo``: download ``template`` to ``storage``. Returns the UPID."""
        form = {"storage": storage, "template": template}
        return await self._caller.post(path_of("nodes", node, "aplinfo"), UPID, form)


_CONTENT = many(Content)
_STORAGE_STATUS = one(StorageStatus)


class Storage(Noun):
    async def content(
        self, node: str, storage: str, content: str | None = None, vmid: int | None = None
    ) -> list[Content]:
        """``GET /nodes/{node}/storage/{storage}/content``.

        ``content``: only volumes of one kind (vztmpl, backup, rootdir).
        """
        path = path_of("nodes", node, "storage", storage, "content")
        return await self._caller.get(path, _CONTENT, {"content": content, "vmid": vmid})

    async def status(self, node: str, storage: str) -> StorageStatus:
        """``GET /nodes/{node}/storage/{storage}/status``."""
        return await self._caller.get(path_of("nodes", node, "storage", storage, "status"), _STORAGE_STATUS)

    async def delete(self, node: str, storage: str, volid: str) -> str | None:
        """``DELETE /nodes/{node}/storage/{storage}/content/{volume}``. None where PVE deletes without a task.

        A disk needs Datastore.Allocate.
        """
        return await self._caller.delete(path_of("nodes", node, "storage", storage, "content", volid), MAYBE_UPID)


class Vzdump(Noun):
    async def create(
        self,
        node: str,
        vmid: int,
        storage: str,
        *,
        mode: Literal["snapshot", "suspend", "stop"] = "snapshot",
        options: Form | None = None,
    ) -> str | None:
        """``POST /nodes/{node}/vzdump``. Returns the UPID, None where the guest is on another node."""
        form = {"vmid": vmid, "storage": storage, "mode": mode, **(options or {})}
        return await self._caller.post(path_of("nodes", node, "vzdump"), MAYBE_UPID, form)


_VALUES: Final = plain(dict[str, Any])
_IP_CONFIG: Final = re.compile(r"ipconfig(?P<index>\d+)")


def _cards(body: bytes) -> list[dict[str, str]]:
    found = _VALUES.decode(body)
    indexes = [match["index"] for key in sorted(found) if (match := _IP_CONFIG.fullmatch(key))]
    texts = ((str(found.get(f"net{index}", "")), str(found[f"ipconfig{index}"])) for index in indexes)
    return [split_property_string(net) | split_property_string(ip) for net, ip in texts]


_CARDS: Final = Shape(_cards)


class Qemu(Noun):
    async def cards(self, node: str, vmid: int) -> list[dict[str, str]]:
        """``GET /nodes/{node}/qemu/{vmid}/config``: the network cards that cloud-init configures, with addresses.

        ``{"bridge": "vmbr0", "tag": "30", "ip": "10.0.0.5/24", "gw": "10.0.0.1", ...}``.
        """
        return await self._caller.get(path_of("nodes", node, "qemu", vmid, "config"), _CARDS)
