"""Finds free vmids: asks PVE first, then chooses in the transaction that stores the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime

VMID_MAX: Final = 999_999_999
ASK_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class FreeVmids:
    """PVE's answers. ``confirmed``: vmids that PVE reported as free. ``taken``: those of guests that the user sees."""

    endpoint_id: UUID
    lowest: int
    taken: frozenset[int]
    confirmed: tuple[int, ...] = ()

    async def choose(self, tx: Transaction, count: int = 1) -> list[int]:
        """The lowest ``count`` vmids that no row of ours holds. No other job chooses here until ``tx`` ends.

        If others took confirmed vmids, uses the next ones: a creation checks its vmid in PVE again before the create.
        Raises ``ConflictError`` if too few are left.
        """
        await tx.jobs.lock_endpoint(self.endpoint_id)
        held = await tx.jobs.reserved_vmids(self.endpoint_id)
        unknown = (vmid for vmid in range(self.lowest, VMID_MAX + 1) if vmid not in self.taken)
        known = frozenset(self.confirmed)
        candidates = chain(self.confirmed, (vmid for vmid in unknown if vmid not in known))
        found = list(islice((vmid for vmid in candidates if vmid not in held), count))
        if len(found) < count:
            raise ConflictError(Message.of(FailureCode.NO_VMID_LEFT))
        return found


async def look(rt: Runtime, client: ProxmoxClient, endpoint_id: UUID, count: int = 1) -> FreeVmids:
    """Ask PVE for ``count`` free vmids. Raises PVE's errors.

    ``GET /cluster/nextid``, ``/cluster/resources``: two requests, and one for each vmid.
    """
    lowest, guests = await asyncio.gather(client.cluster.nextid(), client.cluster.resources("vm"))
    async with rt.db.transaction() as tx:
        held = await tx.jobs.reserved_vmids(endpoint_id)
    found = FreeVmids(endpoint_id, lowest, frozenset(guest.vmid for guest in guests))
    candidates = (vmid for vmid in range(lowest, VMID_MAX + 1) if vmid not in found.taken | held)
    confirmed: list[int] = []
    while len(confirmed) < count:
        wanted = list(islice(candidates, count - len(confirmed)))
        if not wanted:
            break
        confirmed += await _confirmed(client, wanted, lowest)
    return FreeVmids(endpoint_id, lowest, found.taken, tuple(confirmed))


async def _confirmed(client: ProxmoxClient, wanted: Sequence[int], lowest: int) -> list[int]:
    turn = asyncio.Semaphore(ASK_AT_ONCE)

    async def is_free(vmid: int) -> bool:
        async with turn:
            return vmid == lowest or await client.cluster.vmid_is_free(vmid)

    answers = await asyncio.gather(*(is_free(vmid) for vmid in wanted))
    return [vmid for vmid, free in zip(wanted, answers, strict=True) if free]
