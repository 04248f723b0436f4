"""``/cluster``: everything at a glance, and the vmids."""

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
        """``GET /cluster/resources``: what the user may see, silently filtered, figures up to 10 s old."""
        return await self._caller.get("/cluster/resources", _RESOURCES, {"type": kind})

    async def find_guest(self, vmid: int) -> Resource | None:
        """The guest with ``vmid`` wherever it is now, or None where it is not or may not be seen."""
        guests = await self.resources("vm")
        return next((guest for guest in guests if guest.vmid == vmid), None)

    async def status(self) -> list[ClusterEntry]:
        """``GET /cluster/status``: quorum, nodes and addresses; needs Sys.Audit on /."""
        return await self._caller.get("/cluster/status", _STATUS)

    async def tasks(self) -> list[TaskInfo]:
        """``GET /cluster/tasks``: recent tasks of all nodes. A token never sees its own here."""
        return await self._caller.get("/cluster/tasks", _TASKS)

    async def vnets(self) -> list[Vnet]:
        """``GET /cluster/sdn/vnets``: the virtual networks that the user may see."""
        return await self._caller.get("/cluster/sdn/vnets", _VNETS)

    async def options(self) -> ClusterOptions:
        """``GET /cluster/options``: the datacenter's settings, as far as the user may see them."""
        return await self._caller.get("/cluster/options", _OPTIONS)

    async def nextid(self) -> int:
        """``GET /cluster/nextid``: the lowest free vmid. It is not reserved."""
        return await self._caller.get("/cluster/nextid", _NEXTID)

    async def vmid_is_free(self, vmid: int) -> bool:
        """``GET /cluster/nextid?vmid=``, which refuses the field where the vmid is taken or no valid one."""
        return await self._free(vmid) is not None

    async def has_no_guest(self, vmid: int, turn: asyncio.Semaphore | None = None) -> bool:
        """Whether two answers of ``/cluster/nextid``, ``GONE_AGAIN_AFTER_S`` apart, offer ``vmid`` itself.

        Unlike ``vmid_is_free`` it is sure enough to call a guest deleted: some doubles of PVE offer another vmid than
        they are asked for. ``turn`` bounds the requests and is free between them.
        """
        if not await self._is_offered(vmid, turn):
            return False
        await asyncio.sleep(GONE_AGAIN_AFTER_S)
        return await self._is_offered(vmid, turn)

    async def _is_offered(self, vmid: int, turn: asyncio.Semaphore | None) -> bool:
        async with turn or nullcontext():
            return await self._free(vmid) == vmid

    async def _free(self, vmid: int) -> int | None:
        """The vmid that is offered: ``vmid`` itself, by who looks at what is asked; None where that is refused."""
        try:
            return await self._caller.get("/cluster/nextid", _NEXTID, {"vmid": vmid})
        except ApiError as error:
            if "vmid" in error.fields or _TAKEN.search(error.message):
                return None
            raise


_POOLS = many(Pool)


class Pools(Noun):
    async def list(self) -> list[Pool]:
        """``GET /pools``: those that the user may see."""
        return await self._caller.get("/pools", _POOLS)
