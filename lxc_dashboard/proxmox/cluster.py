"""``/cluster`` and ``/pools``: resources, vmids, options and pools."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from typing import Final, Literal

from lxc_dashboard.errors import ApiError
from lxc_dashboard.proxmox.caller import Noun
from lxc_dashboard.proxmox.decoding import many, one, plain
from lxc_dashboard.proxmox.schemas import ClusterEntry, ClusterOptions, Pool, Resource, TaskInfo, Vnet

GONE_AGAIN_AFTER_S: Final = 1.0
_RESOURCES = many(Resource)
_STATUS = many(ClusterEntry)
_TASKS = many(TaskInfo)
_NEXTID = plain(int)
_VNETS = many(Vnet)
_OPTIONS = one(ClusterOptions)
_TAKEN = re.compile(r"\b(VM|CT) \d+ already exists")


class Cluster(Noun):
    async def resources(self, kind: Literal["vm", "storage", "node", "sdn"] | None = None) -> list[Resource]:
        """``GET /cluster/resources``: what the user may see. Figures are up to 10 s old."""
        return await self._caller.get("/cluster/resources", _RESOURCES, {"type": kind})

    async def find_guest(self, vmid: int) -> Resource | None:
        """Return the guest with ``vmid`` on any node. None: there is no such guest, or the user may not see it."""
        guests = await self.resources("vm")
        return next((guest for guest in guests if guest.vmid == vmid), None)

    async def status(self) -> list[ClusterEntry]:
        """``GET /cluster/status``: quorum, nodes and addresses. Needs Sys.Audit at ``/``."""
        return await self._caller.get("/cluster/status", _STATUS)

    async def tasks(self) -> list[TaskInfo]:
        """``GET /cluster/tasks``: recent tasks of all nodes. A token never sees its own tasks here."""
        return await self._caller.get("/cluster/tasks", _TASKS)

    async def vnets(self) -> list[Vnet]:
        """``GET /cluster/sdn/vnets``: the virtual networks that the user may see."""
        return await self._caller.get("/cluster/sdn/vnets", _VNETS)

    async def options(self) -> ClusterOptions:
        """``GET /cluster/options``: the datacenter settings that the user may see."""
        return await self._caller.get("/cluster/options", _OPTIONS)

    async def nextid(self) -> int:
        """``GET /cluster/nextid``: the lowest free vmid. PVE does not reserve it."""
        return await self._caller.get("/cluster/nextid", _NEXTID)

    async def vmid_is_free(self, vmid: int) -> bool:
        """``GET /cluster/nextid?vmid=``: whether ``vmid`` is free. PVE refuses a vmid that is in use or invalid."""
        return await self._free(vmid) is not None

    async def has_no_guest(self, vmid: int, turn: asyncio.Semaphore | None = None) -> bool:
        """Return whether PVE offers ``vmid`` itself twice, ``GONE_AGAIN_AFTER_S`` apart.

        Safe enough to call a guest deleted, unlike ``vmid_is_free``: some stand-ins for PVE offer another vmid than
        requested. ``turn`` bounds the requests and is free between them.
        """
        if not await self._is_offered(vmid, turn):
            return False
        await asyncio.sleep(GONE_AGAIN_AFTER_S)
        return await self._is_offered(vmid, turn)

    async def _is_offered(self, vmid: int, turn: asyncio.Semaphore | None) -> bool:
        async with turn or nullcontext():
            return await self._free(vmid) == vmid

    async def _free(self, vmid: int) -> int | None:
        """Return the vmid that PVE offers for ``vmid``, None where PVE refuses it."""
        try:
            return await self._caller.get("/cluster/nextid", _NEXTID, {"vmid": vmid})
        except ApiError as error:
            if "vmid" in error.fields or _TAKEN.search(error.message):
                return None
            raise


_POOLS = many(Pool)


class Pools(Noun):
    async def list(self) -> list[Pool]:
        """``GET /pools``: the pools that the user may see."""
        return await self._caller.get("/pools", _POOLS)
