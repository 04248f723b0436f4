"""Finds a job's container in PVE, checks that it is the job's, and deletes what the job left.

Guests migrate, and PVE reuses vmids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import EventType, JobState, Phase
from lxc_dashboard.db.repositories.jobs import GIVEN_UP
from lxc_dashboard.errors import ConflictError, PhaseFailedError, PrivilegeError, ProxmoxError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.schemas import Guest, LxcConfig, TaskInfo
from lxc_dashboard.proxmox.schemas.tasks import Upid
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.creation.access import unlock
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, run_noted
from lxc_dashboard.services.jobs.engine.run import Checkpoint

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Content
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.jobs.engine.run import Run

log = structlog.get_logger(__name__)

CREATE_LOCK: Final = "create"
ANSWER_WITHIN_S: Final = 4.0  # the error is useful without the answer
_MAKING: Final = frozenset({"vzcreate", "vzrestore"})
_DESTROY: Final = "vzdestroy"
_TASKS_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container is now, with its live figures."""

    node: str
    guest: Guest


@dataclass(frozen=True, slots=True)
class Claim:
    """What a job knows about the container that it requested. ``userid``: the owner of the job's tasks in PVE."""

    job_id: UUID
    userid: str
    vmid: int
    checkpoint: Checkpoint


async def locate(client: ProxmoxClient, node: str, vmid: int) -> Place | None:
    """The container with ``vmid`` on any node; None if PVE has none. ``node``: the last known node.

    ``GET /cluster/nextid?vmid=``, ``/nodes/{node}/lxc``, ``/cluster/resources``. Raises PVE's errors, and
    ``ConflictError`` if the vmid is taken but no online node shows the container to the user.
    """
    if await client.cluster.has_no_guest(vmid):
        return None
    resources = await client.cluster.resources()
    listed = next((each for each in resources if each.is_guest and each.vmid == vmid), None)
    if listed is not None and listed.type != "lxc":
        return None
    online = [each.node for each in resources if each.type == "node" and each.status == "online"]
    likely = [listed.node, node] if listed else [node]
    for name in [name for name in dict.fromkeys([*likely, *online]) if name in online]:
        guest = await client.lxc.find(name, vmid)
        if guest is not None:
            return Place(name, guest)
    if await client.cluster.vmid_is_free(vmid):
        return None
    raise ConflictError(Message.of(FailureCode.NOT_FOUND_IN_PVE, vmid=vmid))


async def is_ours(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Whether the container with the claim's vmid on ``node`` is the one that the job requested."""
    config = await client.lxc.config(node, claim.vmid)
    if config.is_bare:
        return await _is_left_by(client, claim, node)
    return notes.is_of(config.description, claim.job_id)


async def lock_is_ours(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Whether a failed create task of the job left the lock ``create``, and no task runs on the container."""
    making = await _newest_making(client, claim, node)
    active = await client.tasks.list(node, vmid=claim.vmid, source="active")
    if not making or any(task.running for task in (*making, *active)):
        return False
    return all(_is_of(task, claim) and not task.succeeded for task in making)


async def own_makings(client: ProxmoxClient, claim: Claim, node: str) -> list[TaskInfo]:
    """The job's own tasks among the last ones that made a container with its vmid."""
    return [task for task in await _newest_making(client, claim, node) if _is_of(task, claim)]


async def _is_left_by(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Whether a container with a bare configuration is the job's: its last create task must be the job's."""
    making = await _newest_making(client, claim, node)
    return bool(making) and all(_is_of(task, claim) for task in making)


async def _newest_making(client: ProxmoxClient, claim: Claim, node: str) -> list[TaskInfo]:
    """The last task that made a container with this vmid; several if they began in the same second."""
    found = await client.tasks.list(node, vmid=claim.vmid, limit=_TASKS_LOOKED_AT)
    making = [task for task in found if task.type in _MAKING and task.id == str(claim.vmid)]
    newest = max((task.starttime for task in making), default=0)
    return [task for task in making if task.starttime == newest]


def _is_of(task: TaskInfo, claim: Claim) -> bool:
    checkpoint = claim.checkpoint
    if task.upid in checkpoint.begun.get(CREATE, ()):
        return True
    # If the answer to the POST was lost: a task of the same user that did not exist before.
    intent = checkpoint.intent.get(CREATE)
    lost = intent is not None and CREATE not in checkpoint.upid
    return lost and task.is_of(claim.userid) and task.upid not in (intent or ())


def may_be_made(checkpoint: Checkpoint) -> bool:
    """Whether this try or an earlier one requested the container from PVE."""
    return checkpoint.is_done(CREATE) or CREATE in {*checkpoint.intent, *checkpoint.runs}


def is_retryable(creation: Job, container: Container) -> bool:
    """Whether the job may be retried: it failed, and its container exists or was never created."""
    if creation.state != JobState.FAILED.value:
        return False
    if container.deleted_at is None:
        return True
    return not Checkpoint.from_json(creation.checkpoint).is_done(CREATE) and GIVEN_UP not in creation.error


async def remains(ctx: RunContext) -> bool:
    """Whether PVE has a container of the job. Raises PVE's errors, and ``ConflictError`` as ``locate``.

    After its create has succeeded, the container counts as the job's until PVE reports its vmid as free.
    """
    if not may_be_made(ctx.checkpoint):
        return False
    if ctx.checkpoint.is_done(CREATE):
        return not await ctx.client.cluster.has_no_guest(ctx.guest.vmid)
    place = await locate(ctx.client, ctx.guest.node, ctx.guest.vmid)
    return place is not None and await is_ours(ctx.client, claim_of(ctx), place.node)


async def deleted(ctx: RunContext) -> PhaseFailedError:
    """The error of a job whose container was deleted in PVE. Names the user who did it, if PVE shows the task."""
    user = await _deleter(ctx)
    reason = Message.of(FailureCode.DELETED, vmid=ctx.guest.vmid)
    if user:
        reason = Message.of(FailureCode.DELETED_BY, vmid=ctx.guest.vmid, user=user)
    return PhaseFailedError(ctx.recorder.step, reason)


async def _deleter(ctx: RunContext) -> str:
    """The user of the newest ``vzdestroy`` task since the container was made; empty if PVE shows none.

    ``GET /nodes/{node}/tasks``, which without ``Sys.Audit`` shows only the user's own tasks.
    """
    made = ctx.checkpoint.upid.get(CREATE)
    if made is None:
        return ""
    guest = ctx.guest
    try:
        tasks = ctx.client.within(ANSWER_WITHIN_S).tasks
        found = await tasks.list(guest.node, vmid=guest.vmid, typefilter=_DESTROY, since=Upid.parse(made).starttime)
    except (ProxmoxError, PrivilegeError) as error:
        log.info("deletion not found", vmid=guest.vmid, why=str(error))
        return ""
    done = [task for task in found if task.type == _DESTROY and (task.running or task.succeeded)]
    return max(done, key=lambda task: task.starttime).user if done else ""


def claim_of(ctx: RunContext) -> Claim:
    return Claim(ctx.job_id, ctx.userid, ctx.guest.vmid, ctx.checkpoint)


async def ensure_ours(ctx: RunContext, phase: Phase, step: str) -> LxcConfig:
    """The configuration of the job's container. Raises ``PhaseFailedError`` if its notes do not name the job."""
    config = await ctx.client.lxc.config(ctx.guest.node, ctx.guest.vmid)
    if notes.is_of(config.description, ctx.job_id):
        return config
    raise PhaseFailedError(phase.value, Message.of(FailureCode.NOT_OURS, vmid=ctx.guest.vmid), step=step)


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


async def remove_left(client: ProxmoxClient, claim: Claim, node: str, found: tuple[Content, ...]) -> tuple[str, ...]:
    """Delete the job's own disks while its configuration still holds the vmid; return the volumes that stay.

    A volume stays if it is not proven to be the job's, or if the user may not delete it.
    """
    if not found:
        return ()
    making = await own_makings(client, claim, node)
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
    stays = await delete_left(run, creation, container)
    if stays:
        run.tell(CreationCode.VOLUMES_STAY, EventType.WARNING, volumes=list(stays))


async def find_left(client: ProxmoxClient, creation: Job, container: Container) -> Place | None:
    """Where the creation's container is now; None if PVE no longer has it.

    Raises ``ConflictError`` if the vmid belongs to another container now or no node shows it, and PVE's errors.
    """
    place = await locate(client, container.node, container.vmid)
    if place is not None:
        await _require_own(client, _claim(creation, container), place.node)
    return place


async def delete_left(run: Run, creation: Job, container: Container) -> tuple[str, ...] | None:
    """Destroy the container as the user of ``run``; return the volumes that stay. None if PVE no longer has it.

    ``POST .../status/stop``, ``DELETE /nodes/{node}/lxc/{vmid}``. No configuration names the volumes that stay. They
    may belong to another guest that had the vmid, here or in a cluster that shares the storage.

    Raises ``ConflictError`` as ``find``, and errors of PVE and the door.
    """
    facts = run.checkpoint.facts
    if DELETE in run.checkpoint.intent:  # an earlier worker may have sent it: the guest may be half deleted
        place = await locate(run.client, container.node, container.vmid)
        if place is None and DELETE not in run.checkpoint.upid:
            return tuple(facts.get(STAYS, ()))
        node = place.node if place else container.node
    else:
        place = await find_left(run.client, creation, container)
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
    return await remove_left(run.client, claim, node, found)


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
    if not await is_ours(client, claim, node):
        raise ConflictError(Message.of(FailureCode.LEFT_NOT_OURS, vmid=claim.vmid))


async def _unlock(run: Run, claim: Claim, node: str) -> None:
    if not await lock_is_ours(run.client, claim, node):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCKED, vmid=claim.vmid))
    if not await unlock(run.rt, run.client, run.endpoint_id, node, claim.vmid):
        raise ConflictError(Message.of(FailureCode.LEFT_LOCK_STAYS, vmid=claim.vmid, node=node))


def _claim(creation: Job, container: Container) -> Claim:
    return Claim(creation.id, creation.userid, container.vmid, Checkpoint.from_json(creation.checkpoint))
