"""Free vmids: asked of PVE, kept apart from what our own rows hold, and offered to one requester at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.failures import FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

VMID_MAX: Final = 999_999_999
LEASE_S: Final = 60.0
ASK_AT_ONCE: Final = 16
TRIES: Final = 10  # at storing what is offered: one reserved by hand goes by no offer


@asynccontextmanager
async def offered(
    rt: Runtime, client: ProxmoxClient, endpoint_id: UUID, count: int = 1, *, freed: int | None = None
) -> AsyncIterator[list[int]]:
    """The ``count`` lowest vmids that PVE calls free and no row of ours holds; nobody else is offered them meanwhile.

    Store the rows within the block; a row that holds ``freed`` gives it up there. ``GET /cluster/nextid``, ``/cluster/resources``: two requests and one a vmid,
    however many ask at the same time. Raises ``ConflictError`` where none is left, what PVE says.
    """
    search = _Search(rt, client, endpoint_id, freed)
    try:
        yield await search.find(count) if count else []
    finally:
        await search.close()


class _Search:
    def __init__(self, rt: Runtime, client: ProxmoxClient, endpoint_id: UUID, freed: int | None) -> None:
        self._freed = freed
        self._rt = rt
        self._client = client
        self._endpoint_id = endpoint_id
        self._owner = uuid4().hex
        self._leased: list[int] = []

    async def find(self, count: int) -> list[int]:
        lowest, guests = await asyncio.gather(self._client.cluster.nextid(), self._client.cluster.resources("vm"))
        taken = {guest.vmid for guest in guests} | await self._reserved()
        candidates = (vmid for vmid in range(lowest, VMID_MAX + 1) if vmid not in taken)
        found: list[int] = []
        while len(found) < count:
            wanted = await self._lease(candidates, count - len(found))
            if not wanted:
                raise ConflictError(Message.of(FailureCode.NO_VMID_LEFT))
            found += await self._confirmed(wanted, lowest)
        return found

    async def _reserved(self) -> frozenset[int]:
        async with self._rt.db.transaction() as tx:
            return await tx.jobs.reserved_vmids(self._endpoint_id) - {self._freed}

    async def _lease(self, candidates: Iterator[int], count: int) -> list[int]:
        leased: list[int] = []
        for vmid in candidates:
            if await self._rt.bus.acquire_lease(self._key(vmid), self._owner, LEASE_S):
                leased.append(vmid)
                self._leased.append(vmid)
            if len(leased) == count:
                break
        return leased

    async def _confirmed(self, wanted: Sequence[int], lowest: int) -> list[int]:
        """Who held a lease before us has stored his row by now: so our rows are looked at again, after the lease."""
        reserved = await self._reserved()
        turn = asyncio.Semaphore(ASK_AT_ONCE)

        async def is_free(vmid: int) -> bool:
            async with turn:
                return vmid == lowest or await self._client.cluster.vmid_is_free(vmid)

        left = [vmid for vmid in wanted if vmid not in reserved]
        answers = await asyncio.gather(*(is_free(vmid) for vmid in left))
        return [vmid for vmid, free in zip(left, answers, strict=True) if free]

    async def close(self) -> None:
        try:
            for vmid in self._leased:
                await self._rt.bus.release_lease(self._key(vmid), self._owner)
        except ServiceUnavailableError as error:
            log.info("vmids are offered again later", vmids=self._leased, why=str(error))

    def _key(self, vmid: int) -> str:
        return f"vmid:{self._endpoint_id}:{vmid}"
