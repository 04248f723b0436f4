"""Forgets containers of ours that PVE no longer has, so that their vmids and addresses are free.

Runs before a vmid or an address is reported as taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.jobs.identity import LOST, forget_lost, standings

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

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
