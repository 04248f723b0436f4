"""Where a run's container is in PVE, and whether it is the run's: a guest migrates, and a vmid is given out again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import ConflictError, PhaseFailedError
from lxc_dashboard.proxmox.schemas import Guest, LxcConfig, TaskInfo
from lxc_dashboard.services.creation import notes
from lxc_dashboard.services.creation.checkpoint import Checkpoint
from lxc_dashboard.services.creation.phases.create import CREATE

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.services.creation.context import RunContext

CREATE_LOCK: Final = "create"
_MAKING: Final = frozenset({"vzcreate", "vzrestore"})
_TASKS_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container is now, with its live figures."""

    node: str
    guest: Guest


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run knows of the container that it asked for. ``userid``: whose its tasks are."""

    creation_id: UUID
    userid: str
    vmid: int
    checkpoint: Checkpoint


async def locate(client: ProxmoxClient, node: str, vmid: int) -> Place | None:
    """The container with ``vmid``, on whichever node; None where PVE has none. ``node``: where it was last.

    ``GET /cluster/nextid?vmid=``, ``/nodes/{node}/lxc``, ``/cluster/resources``. Raises ``ConflictError`` where the vmid
    is taken and no node that answers shows the user its container, and what PVE says.
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
    raise ConflictError(
        f"CT {vmid} is not to be found: PVE calls its vmid taken, and no node that answers shows it to you"
    )


async def is_ours(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Whether the container with the claim's vmid, on ``node``, is the one that the run asked for."""
    config = await client.lxc.config(node, claim.vmid)
    if config.is_bare:
        return await _is_left_by(client, claim, node)
    return notes.is_of(config.description, claim.creation_id)


async def lock_is_ours(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Whether the lock ``create`` on it is what a create task of the run has left that failed, and nobody works on it."""
    making = await _newest_making(client, claim, node)
    active = await client.tasks.list(node, vmid=claim.vmid, source="active")
    if not making or any(task.running for task in (*making, *active)):
        return False
    return all(_is_of(task, claim) and not task.succeeded for task in making)


async def own_makings(client: ProxmoxClient, claim: Claim, node: str) -> list[TaskInfo]:
    """The run's own among the last tasks that made a container with its vmid."""
    return [task for task in await _newest_making(client, claim, node) if _is_of(task, claim)]


async def _is_left_by(client: ProxmoxClient, claim: Claim, node: str) -> bool:
    """Nothing in a bare configuration says whose it is: it is the run's if nobody made one with this vmid after it."""
    making = await _newest_making(client, claim, node)
    return bool(making) and all(_is_of(task, claim) for task in making)


async def _newest_making(client: ProxmoxClient, claim: Claim, node: str) -> list[TaskInfo]:
    """The last task that made a container with this vmid; several where they began in one second."""
    found = await client.tasks.list(node, vmid=claim.vmid, limit=_TASKS_LOOKED_AT)
    making = [task for task in found if task.type in _MAKING and task.id == str(claim.vmid)]
    newest = max((task.starttime for task in making), default=0)
    return [task for task in making if task.starttime == newest]


def _is_of(task: TaskInfo, claim: Claim) -> bool:
    checkpoint = claim.checkpoint
    if task.upid in checkpoint.begun.get(CREATE, ()):
        return True
    # Where the answer to the POST was lost: the user's own task that was not there before.
    intent = checkpoint.intent.get(CREATE)
    lost = intent is not None and CREATE not in checkpoint.upid
    return lost and task.is_of(claim.userid) and task.upid not in (intent or ())


def claim_of(ctx: RunContext) -> Claim:
    return Claim(ctx.creation_id, ctx.userid, ctx.guest.vmid, ctx.checkpoint)


async def ensure_ours(ctx: RunContext, phase: Phase, step: str) -> LxcConfig:
    """The configuration of the run's container. Raises ``PhaseFailedError`` where its notes say that it is not the run's."""
    config = await ctx.client.lxc.config(ctx.guest.node, ctx.guest.vmid)
    if notes.is_of(config.description, ctx.creation_id):
        return config
    raise PhaseFailedError(
        phase.value,
        f"CT {ctx.guest.vmid} is not the container that this job has made",
        step=step,
        remedy="It was replaced, or its notes were rewritten. Nothing was changed in it",
    )
