"""Finds free vmids, and forgets containers that PVE no longer has.

Asks PVE first, then chooses in the transaction that stores the rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.jobs.identity import LOST, forget_lost, standings

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

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


ASKED_AT_ONCE: Final = 50  # those that PVE does not list come first
AddressTest = Callable[[str], bool]


async def forget_gone(
    rt: Runtime,
    client: ProxmoxClient,
    endpoint_id: UUID,
    *,
    vmid: int | None = None,
    is_wanted: AddressTest | None = None,
) -> bool:
    """Look up in PVE the containers that hold ``vmid`` or an address that ``is_wanted``; forget those that are gone.

    Returns whether any were gone. Asks PVE only if the job of a holder has ended. Raises the errors of
    ``GET /cluster/resources``.
    """
    async with rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(endpoint_id, vmid) if vmid is not None else None
        ids = {holder.id} if holder is not None else set()
        if is_wanted is not None:
            in_use = await tx.jobs.addresses_in_use(endpoint_id)
            ids |= {each.container.id for each in in_use if any(map(is_wanted, each.addresses))}
        known = await tx.containers.known(endpoint_id, ids) if ids else []
    ended = [guest for guest in known if guest.has_ended]
    if not ended:
        return False
    resources = await client.cluster.resources()
    listed = {entry.vmid for entry in resources if entry.is_guest}
    suspects = sorted(ended, key=lambda guest: guest.vmid in listed)[:ASKED_AT_ONCE]
    found = await standings(client, suspects, resources)
    await forget_lost(rt.db, suspects, found)
    return any(standing in LOST for standing in found.values())


def address_test(spec: ContainerSpec) -> AddressTest | None:
    """A test whether an address is a static one of ``spec``; None if ``spec`` has none."""
    static = {ip.address.partition("/")[0] for ip in (spec.ipv4, spec.ipv6) if ip.address}
    return static.__contains__ if static else None
