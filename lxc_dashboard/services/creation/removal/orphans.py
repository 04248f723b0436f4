"""Disks that a killed create has made and no configuration names.

A vmid is no proof: a guest that had it before may have left disks too, and clusters that share a storage use the same vmids. So
a disk is the run's where it was made while the run's own create task ran, and any other is left for people to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import PrivilegeError, ProxmoxError
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.removal import ownership

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Content
    from lxc_dashboard.services.creation.removal.ownership import Claim

log = structlog.get_logger(__name__)

DISKS: Final = frozenset({"images", "rootdir"})
DELETE_DEADLINE_S: Final = 300.0


async def unreferenced(client: ProxmoxClient, creation: Job, node: str, vmid: int) -> tuple[Content, ...]:
    """``GET .../storage/{storage}/content``: the disks of this vmid, of which a bare configuration knows nothing."""
    if not (await client.lxc.config(node, vmid)).is_bare:
        return ()
    found: list[Content] = []
    for storage in dict.fromkeys(volume.storage for volume in ContainerSpec.from_json(creation.params).volumes):
        try:
            listed = await client.storage.content(node, storage, vmid=vmid)
        except (ProxmoxError, PrivilegeError) as error:
            log.info("volumes not listed", storage=storage, vmid=vmid, why=str(error))
            continue
        found += [volume for volume in listed if volume.vmid == vmid and volume.content in DISKS]
    return tuple(found)


async def remove(client: ProxmoxClient, claim: Claim, node: str, found: tuple[Content, ...]) -> tuple[str, ...]:
    """Delete what the run made, while its configuration still holds the vmid; the volumes that stay.

    Those stay that are not proven to be the run's, and those that the user may not delete.
    """
    if not found:
        return ()
    making = await ownership.own_makings(client, claim, node)
    stays: list[str] = []
    for volume in found:
        made_here = any(0 < task.starttime <= volume.ctime <= task.endtime for task in making)  # 0: not told
        if not (made_here and await _is_deleted(client, node, volume.volid)):
            stays.append(volume.volid)
    return tuple(stays)


async def _is_deleted(client: ProxmoxClient, node: str, volid: str) -> bool:
    """``DELETE .../content/{volume}``."""
    try:
        upid = await client.storage.delete(node, volid.partition(":")[0], volid)
        if upid:
            await client.tasks.wait(upid, deadline_s=DELETE_DEADLINE_S, stop_on_cancellation=False)
    except (ProxmoxError, PrivilegeError) as error:
        log.info("volume not deleted", volume=volid, why=str(error))
        return False
    return True
