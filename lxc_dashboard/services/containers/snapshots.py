"""Snapshots of a guest: kinds of jobs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lxc_dashboard.services.jobs.acts import ActRun, act
from lxc_dashboard.services.jobs.codes import EventCode, Message

# PVE's rule for names. PVE itself refuses ``current``.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,39}$")]
Description = Annotated[str, msgspec.Meta(max_length=4096)]


class SnapshotCode(EventCode):
    CREATING = "snapshot.creating"
    CREATED = "snapshot.created"


class CreateSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    description: Description = ""


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
