"""Clone, migrate, resize, back up and delete a guest: kinds of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.containers.codes import ContainerCode
from lxc_dashboard.services.containers.power import PowerCode, refresh
from lxc_dashboard.services.jobs.acts import Act, ActRun, act
from lxc_dashboard.services.jobs.codes import EventCode, Message
from lxc_dashboard.services.jobs.engine.pve_tasks import TASK
from lxc_dashboard.services.jobs.engine.run import Guest

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.caller import Form
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

NEWID: Final = "newid"

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Vmid = Annotated[int, msgspec.Meta(ge=100, le=999_999_999)]
Hostname = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")]
Notes = Annotated[str, msgspec.Meta(max_length=8192)]


class LifecycleCode(EventCode):
    CLONING = "container.cloning"
    CLONED = "container.cloned"
    MIGRATING = "container.migrating"
    MIGRATED = "container.migrated"
    RESIZING = "container.resizing"
    RESIZED = "container.resized"
    BACKING_UP = "container.backing_up"
    BACKED_UP = "container.backed_up"
    DELETING = "container.deleting"
    DELETED = "container.deleted"


class Clone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``newid``: default the next free vmid. ``full``: default PVE's own, linked only for a template.

    ``snapshot``: its state is cloned. PVE clones a running guest only from a snapshot.
    """

    hostname: Hostname = ""
    newid: Vmid | None = None
    target: Id | None = None
    storage: Id | None = None
    pool: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    snapshot: Id | None = None
    full: bool | None = None
    description: Notes = ""


class Migrate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A running guest is stopped, moved and started again. ``target_storage``: default the storages of its volumes."""

    target: Id
    target_storage: Id | None = None


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``size``: the new size. A growth such as ``+5G`` is refused: a retry would add it again."""

    disk: Annotated[str, msgspec.Meta(pattern=r"^(?:rootfs|mp\d{1,3})$")]
    size: Annotated[str, msgspec.Meta(pattern=r"^\d{1,9}(?:\.\d{1,3})?[KMGT]$")]


class BackUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``mode``: PVE stops the guest for the whole time with ``stop``, and for a moment with ``suspend``."""

    storage: Id
    mode: Literal["snapshot", "suspend", "stop"] = "snapshot"
    compress: Literal["0", "gzip", "lzo", "zstd"] = "zstd"
    notes: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    protected: bool = False


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``confirm``: the vmid again. ``purge``: also from backup jobs, replication jobs and HA. Backups stay."""

    confirm: Vmid
    purge: bool = False


@act("container.clone", begins=LifecycleCode.CLONING, needs=("VM.Clone",), at="POST /clone", params=Clone)
async def clone(run: ActRun, params: Clone) -> Message:
    """``POST /nodes/{node}/lxc/{vmid}/clone``."""
    guest, facts = run.guest, run.checkpoint.facts
    if NEWID not in facts:
        facts[NEWID] = params.newid or await run.client.cluster.nextid()
    newid: int = facts[NEWID]
    options: Form = {
        "hostname": params.hostname or None,
        "target": params.target,
        "storage": params.storage,
        "pool": params.pool,
        "snapname": params.snapshot,
        "full": params.full,
        "description": params.description or None,
    }
    await run.pve_task("clone", "vzclone", lambda: run.client.lxc.clone(guest.node, guest.vmid, newid, options))
    await refresh(run, Guest(newid, params.target or guest.node))
    return Message.of(LifecycleCode.CLONED, guest=str(guest), newid=newid)


@act("container.migrate", begins=LifecycleCode.MIGRATING, needs=("VM.Migrate",), at="POST /migrate", params=Migrate)
async def migrate(run: ActRun, params: Migrate) -> Message:
    """``POST /nodes/{node}/lxc/{vmid}/migrate``, in restart mode if the guest runs."""
    lxc, guest = run.client.lxc, run.guest

    async def post() -> str:
        status = await lxc.status(guest.node, guest.vmid)
        storage = params.target_storage
        return await lxc.migrate(guest.node, guest.vmid, params.target, restart=status.running, storage=storage)

    result = await run.pve_task("migrate", "vzmigrate", post)
    if ha.was_handed_over(result.upid):
        return Message.of(PowerCode.HA_ASKED, act="migration", guest=str(guest))
    await refresh(run, Guest(guest.vmid, params.target))
    return Message.of(LifecycleCode.MIGRATED, guest=str(guest), target=params.target)


@act("disk.resize", begins=LifecycleCode.RESIZING, needs=("VM.Config.Disk",), at="POST /resize", params=Resize)
async def resize(run: ActRun, params: Resize) -> Message:
    """``PUT /nodes/{node}/lxc/{vmid}/resize``."""
    guest = run.guest
    await run.pve_task(
        "resize", "resize", lambda: run.client.lxc.resize(guest.node, guest.vmid, params.disk, params.size)
    )
    return Message.of(LifecycleCode.RESIZED, guest=str(guest), disk=params.disk, size=params.size)


@act("backup.create", begins=LifecycleCode.BACKING_UP, needs=("VM.Backup",), at="POST /backups", params=BackUp)
async def back_up(run: ActRun, params: BackUp) -> Message:
    """``POST /nodes/{node}/vzdump``. PVE prunes no older backup."""
    guest = run.guest
    options: Form = {
        "compress": params.compress,
        "remove": False,
        "notes-template": params.notes or None,
        "protected": params.protected or None,
    }

    async def post() -> str:
        upid = await run.client.vzdump.create(guest.node, guest.vmid, params.storage, mode=params.mode, options=options)
        if upid is None:
            raise ConflictError(Message.of(ContainerCode.MOVED, guest=str(guest), node=guest.node))
        return upid

    await run.pve_task("backup", "vzdump", post)
    return Message.of(LifecycleCode.BACKED_UP, guest=str(guest), storage=params.storage)


async def refuse_undeletable(rt: Runtime, session: Session, guest: Guest, params: Delete) -> None:
    """Raise ``ConflictError`` if the vmid is not confirmed, or if the guest runs or is protected."""
    if params.confirm != guest.vmid:
        raise ConflictError(Message.of(ContainerCode.NOT_CONFIRMED, guest=str(guest), vmid=guest.vmid))
    lxc = (await acting.client(rt, session)).lxc
    if (await lxc.status(guest.node, guest.vmid)).running:
        raise ConflictError(Message.of(ContainerCode.RUNNING, guest=str(guest)))
    if (await lxc.config(guest.node, guest.vmid)).flag("protection"):
        raise ConflictError(Message.of(ContainerCode.PROTECTED, guest=str(guest)))


class DeleteAct(Act):
    async def locate(self, run: ActRun) -> None:
        """Find the guest, unless an earlier worker started its deletion and PVE has no guest of this vmid now."""
        try:
            await super().locate(run)
        except NotFoundError:
            if TASK not in run.checkpoint.facts or not await run.client.cluster.has_no_guest(run.guest.vmid):
                raise


@act(
    "container.delete",
    begins=LifecycleCode.DELETING,
    needs=("VM.Allocate",),
    at="DELETE",
    params=Delete,
    refuse=refuse_undeletable,
    of=DeleteAct,
)
async def delete(run: ActRun, params: Delete) -> Message:
    """``DELETE /nodes/{node}/lxc/{vmid}``."""
    guest = run.guest
    await run.pve_task("delete", "vzdestroy", lambda: run.client.lxc.delete(guest.node, guest.vmid, purge=params.purge))
    await refresh(run)
    return Message.of(LifecycleCode.DELETED, guest=str(guest))
