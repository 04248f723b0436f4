"""Deleting what a failed or cancelled run has left in PVE, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.creation import orphans, ownership
from lxc_dashboard.services.creation.entrance import unlock
from lxc_dashboard.services.creation.failures import FailureCode
from lxc_dashboard.services.creation.ownership import CREATE_LOCK, Claim
from lxc_dashboard.services.jobs.checkpoint import Checkpoint

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime

DELETE_DEADLINE_S: Final = 300.0
STOP_WITHIN_S: Final = 120.0  # HA takes its time


async def delete(rt: Runtime, client: ProxmoxClient, creation: Job, container: Container) -> tuple[str, ...] | None:
    """``POST .../status/stop``, ``DELETE /nodes/{node}/lxc/{vmid}``, as ``client``'s user. None where PVE has it no more, else
    the volumes that stay. Of a create that was killed they stand in no configuration, and nothing tells them from those of
    another guest that had the vmid, here or in a cluster that shares the storage: people decide.

    Raises ``ConflictError`` where the vmid is another container by now or is not to be found, what PVE and the door say.
    """
    place = await ownership.locate(client, container.node, container.vmid)
    if place is None:
        return None
    claim = Claim(creation.id, creation.userid, container.vmid, Checkpoint.from_json(creation.checkpoint))
    if not await ownership.is_ours(client, claim, place.node):
        raise ConflictError(Message.of(FailureCode.LEFT_NOT_OURS, vmid=container.vmid))
    found = await orphans.unreferenced(client, creation, place.node, container.vmid)
    if place.guest.lock == CREATE_LOCK:
        # All that a killed create left is this lock, which blocks the delete. Only the node's root can lift it.
        await _unlock(rt, client, creation, claim, place.node)
    if place.guest.running:
        upid = await client.lxc.stop(place.node, container.vmid)
        await client.tasks.wait(upid, deadline_s=DELETE_DEADLINE_S)
        if not await ha.reached(client, container.vmid, place.node, running=False, within_s=STOP_WITHIN_S):
            raise ConflictError(Message.of(FailureCode.LEFT_RUNS, vmid=container.vmid))
    stays = await orphans.remove(client, claim, place.node, found)
    upid = await client.lxc.delete(place.node, container.vmid, purge=True)
    await client.tasks.wait(upid, deadline_s=DELETE_DEADLINE_S)
    return stays


async def _unlock(rt: Runtime, client: ProxmoxClient, creation: Job, claim: Claim, node: str) -> None:
    if not await ownership.lock_is_ours(client, claim, node):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCKED, vmid=claim.vmid))
    if not await unlock(rt, client, creation.endpoint_id, node, claim.vmid):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCK_STAYS, vmid=claim.vmid, node=node))
