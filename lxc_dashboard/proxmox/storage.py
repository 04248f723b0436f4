"""``/nodes/{node}/storage/{storage}``: what one storage holds, as one node sees it."""

from __future__ import annotations

from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import many, one
from lxc_dashboard.proxmox.schemas import Content, StorageStatus
from lxc_dashboard.proxmox.shapes import MAYBE_UPID

_CONTENT = many(Content)
_STATUS = one(StorageStatus)


class Storage(Noun):
    async def content(
        self, node: str, storage: str, content: str | None = None, vmid: int | None = None
    ) -> list[Content]:
        """``GET .../content``. ``content``: only volumes of one kind (vztmpl, backup, rootdir, ...)."""
        path = path_of("nodes", node, "storage", storage, "content")
        return await self._caller.get(path, _CONTENT, {"content": content, "vmid": vmid})

    async def status(self, node: str, storage: str) -> StorageStatus:
        """``GET .../status``."""
        return await self._caller.get(path_of("nodes", node, "storage", storage, "status"), _STATUS)

    async def delete(self, node: str, storage: str, volid: str) -> str | None:
        """``DELETE .../content/{volume}``; for a disk it needs Datastore.Allocate. Versions that delete at once give None."""
        return await self._caller.delete(path_of("nodes", node, "storage", storage, "content", volid), MAYBE_UPID)
