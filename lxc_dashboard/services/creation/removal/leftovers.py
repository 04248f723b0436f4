"""Deletes what a failed or cancelled creation left in PVE, and nothing else: a part of a job.

Also deletes disks of a killed create that no configuration names. A vmid does not prove who owns a disk: an earlier
guest may have left it, and clusters that share a storage use the same vmids. So a disk belongs to the job only if it
was made while the job's own create task ran. All others stay, for users to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import ConflictError, PrivilegeError, ProxmoxError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.creation.access.entrance import unlock
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.removal import ownership
from lxc_dashboard.services.creation.removal.ownership import CREATE_LOCK, Claim, Place
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, run_noted

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Content
    from lxc_dashboard.services.jobs.engine.run import Run


log = structlog.get_logger(__name__)

DISKS: Final = frozenset({"images", "rootdir"})
DELETE_DEADLINE_S: Final = 300.0


async def unreferenced(client: ProxmoxClient, creation: Job, node: str, vmid: int) -> tuple[Content, ...]:
    """The disks of this vmid, if its configuration is bare and names none. ``GET .../storage/{storage}/content``."""
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
    """Delete the job's own disks while its configuration still holds the vmid; return the volumes that stay.

    A volume stays if it is not proven to be the job's, or if the user may not delete it.
    """
    if not found:
        return ()
    making = await ownership.own_makings(client, claim, node)
    stays: list[str] = []
    for volume in found:
        made_here = any(0 < task.starttime <= volume.ctime <= task.endtime for task in making)  # 0: unknown
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


STOP: Final = "destroy.stop"
DELETE: Final = "destroy.delete"
CLEAR: Final = "create.clear"
REPLACES: Final = "replaces"  # a checkpoint's fact: the creation whose container is destroyed first
STAYS: Final = "stays"  # a checkpoint's fact: the volumes that stay
TASK_DEADLINE_S: Final = 300.0
STOP_WITHIN_S: Final = 120.0  # HA stops a guest with a delay


async def clear_replaced(run: Run) -> None:
    """Destroy what the replaced creation left. Raises as ``delete``."""
    async with run.rt.db.transaction() as tx:
        creation = await tx.jobs.get(UUID(run.checkpoint.facts[REPLACES]))
        container = await tx.containers.get(creation.own_container_id)
    run.tell_once(CLEAR, CreationCode.REPLACED_DESTROYING, vmid=container.vmid, hostname=container.hostname)
    stays = await delete(run, creation, container)
    if stays:
        run.tell(CreationCode.VOLUMES_STAY, EventType.WARNING, volumes=list(stays))


async def find(client: ProxmoxClient, creation: Job, container: Container) -> Place | None:
    """Where the creation's container is now; None if PVE no longer has it.

    Raises ``ConflictError`` if the vmid belongs to another container now or no node shows it, and PVE's errors.
    """
    place = await ownership.locate(client, container.node, container.vmid)
    if place is not None:
        await _require_own(client, _claim(creation, container), place.node)
    return place


async def delete(run: Run, creation: Job, container: Container) -> tuple[str, ...] | None:
    """Destroy the container as the user of ``run``; return the volumes that stay. None if PVE no longer has it.

    ``POST .../status/stop``, ``DELETE /nodes/{node}/lxc/{vmid}``. No configuration names the volumes that stay. They
    may belong to another guest that had the vmid, here or in a cluster that shares the storage.

    Raises ``ConflictError`` as ``find``, and errors of PVE and the door.
    """
    facts = run.checkpoint.facts
    if DELETE in run.checkpoint.intent:  # an earlier worker may have sent it: the guest may be half deleted
        place = await ownership.locate(run.client, container.node, container.vmid)
        if place is None and DELETE not in run.checkpoint.upid:
            return tuple(facts.get(STAYS, ()))
        node = place.node if place else container.node
    else:
        place = await find(run.client, creation, container)
        if place is None:
            return None
        node = place.node
        facts[STAYS] = list(await _prepare(run, creation, container, place))
    await _delete(run, _claim(creation, container), node)
    return tuple(facts[STAYS])


async def _prepare(run: Run, creation: Job, container: Container, place: Place) -> tuple[str, ...]:
    """Lift a killed create's lock, stop the guest, delete unreferenced disks; return the volumes that stay."""
    claim, node = _claim(creation, container), place.node
    found = await unreferenced(run.client, creation, node, container.vmid)
    if place.guest.lock == CREATE_LOCK:
        # A killed create leaves this lock, which blocks the delete. Only the node's root can lift it.
        await _unlock(run, claim, node)
    if place.guest.running:
        await _stop(run, claim.vmid, node)
    return await remove(run.client, claim, node, found)


async def _stop(run: Run, vmid: int, node: str) -> None:
    if run.checkpoint.is_done(STOP):
        run.checkpoint.again(STOP)  # it was started since
    post = PveStep(STOP, "vzstop", str(vmid), node, TASK_DEADLINE_S, lambda: run.client.lxc.stop(node, vmid))
    await run_noted(run, post)
    if not await ha.reached(run.client, vmid, node, running=False, within_s=STOP_WITHIN_S):
        raise ConflictError(Message.of(FailureCode.LEFT_RUNS, vmid=vmid))


async def _delete(run: Run, claim: Claim, node: str) -> None:
    async def post() -> str:
        await _require_own(run.client, claim, node)
        return await run.client.lxc.delete(node, claim.vmid, purge=True)

    await run_noted(run, PveStep(DELETE, "vzdestroy", str(claim.vmid), node, TASK_DEADLINE_S, post))


async def _require_own(client: ProxmoxClient, claim: Claim, node: str) -> None:
    if not await ownership.is_ours(client, claim, node):
        raise ConflictError(Message.of(FailureCode.LEFT_NOT_OURS, vmid=claim.vmid))


async def _unlock(run: Run, claim: Claim, node: str) -> None:
    if not await ownership.lock_is_ours(run.client, claim, node):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCKED, vmid=claim.vmid))
    if not await unlock(run.rt, run.client, run.endpoint_id, node, claim.vmid):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCK_STAYS, vmid=claim.vmid, node=node))


def _claim(creation: Job, container: Container) -> Claim:
    return Claim(creation.id, creation.userid, container.vmid, Checkpoint.from_json(creation.checkpoint))
