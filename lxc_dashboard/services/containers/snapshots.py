"""Snapshots of a guest: kinds of jobs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lxc_dashboard.services.containers.power import refresh
from lxc_dashboard.services.jobs.acts import ActRun, act
from lxc_dashboard.services.jobs.codes import EventCode, Message

# PVE's rule for names. PVE itself refuses ``current``.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,39}$")]
Description = Annotated[str, msgspec.Meta(max_length=4096)]


class SnapshotCode(EventCode):
    CREATING = "snapshot.creating"
    CREATED = "snapshot.created"
    ROLLING_BACK = "snapshot.rolling_back"
    ROLLED_BACK = "snapshot.rolled_back"
    DELETING = "snapshot.deleting"
    DELETED = "snapshot.deleted"


class CreateSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    description: Description = ""


class RollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``start``: start the guest afterwards. PVE stops a running one."""

    name: Name
    start: bool = False


class DeleteSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


@act(
    "snapshot.create",
    begins=SnapshotCode.CREATING,
    needs=("VM.Snapshot",),
    at="POST /snapshots",
    params=CreateSnapshot,
)
async def create(run: ActRun, params: CreateSnapshot) -> Message:
    """``POST /nodes/{node}/lxc/{vmid}/snapshot``."""
    lxc, guest = run.client.lxc, run.guest
    await run.pve_task(
        "snapshot",
        "vzsnapshot",
        lambda: lxc.create_snapshot(guest.node, guest.vmid, params.name, params.description),
    )
    return Message.of(SnapshotCode.CREATED, name=params.name, guest=str(guest))


@act(
    "snapshot.rollback",
    begins=SnapshotCode.ROLLING_BACK,
    needs=("VM.Snapshot|VM.Snapshot.Rollback",),
    at="POST /snapshots/{name}/rollback",
    params=RollBack,
)
async def roll_back(run: ActRun, params: RollBack) -> Message:
    """``POST /nodes/{node}/lxc/{vmid}/snapshot/{name}/rollback``."""
    lxc, guest = run.client.lxc, run.guest
    await run.pve_task(
        "rollback", "vzrollback", lambda: lxc.rollback(guest.node, guest.vmid, params.name, start=params.start)
    )
    await refresh(run)
    return Message.of(SnapshotCode.ROLLED_BACK, name=params.name, guest=str(guest))


@act(
    "snapshot.delete",
    begins=SnapshotCode.DELETING,
    needs=("VM.Snapshot",),
    at="DELETE /snapshots/{name}",
    params=DeleteSnapshot,
)
async def delete(run: ActRun, params: DeleteSnapshot) -> Message:
    """``DELETE /nodes/{node}/lxc/{vmid}/snapshot/{name}``."""
    lxc, guest = run.client.lxc, run.guest
    await run.pve_task("delete", "vzdelsnapshot", lambda: lxc.delete_snapshot(guest.node, guest.vmid, params.name))
    return Message.of(SnapshotCode.DELETED, name=params.name, guest=str(guest))
