"""Finds a job's container in PVE, and checks that it is the job's: guests migrate, and PVE reuses vmids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import JobState, Phase
from lxc_dashboard.db.repositories.jobs import GIVEN_UP
from lxc_dashboard.errors import ConflictError, PhaseFailedError, PrivilegeError, ProxmoxError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.schemas import Guest, LxcConfig, TaskInfo
from lxc_dashboard.proxmox.schemas.tasks import Upid
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.services.creation.context import RunContext

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
