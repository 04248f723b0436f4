"""``/nodes/{node}/vzdump``: backups."""

from __future__ import annotations

from typing import Literal

from lxc_dashboard.proxmox.caller import Form, Noun, path_of
from lxc_dashboard.proxmox.shapes import MAYBE_UPID


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
        """``POST /nodes/{node}/vzdump``: the UPID; None where the guest is on another node and PVE does nothing."""
        form = {"vmid": vmid, "storage": storage, "mode": mode, **(options or {})}
        return await self._caller.post(path_of("nodes", node, "vzdump"), MAYBE_UPID, form)
