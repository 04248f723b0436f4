"""Snapshots of a guest: kinds of jobs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lxc_dashboard.services.jobs.acts import ActRun, act

# As PVE takes them, which refuses ``current`` by itself.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,39}$")]
Description = Annotated[str, msgspec.Meta(max_length=4096)]


class CreateSnapshot(msgspec.Struct, frozen=True):
    name: Name
    description: Description = ""


@act("snapshot.create", title="Taking a snapshot", needs=("VM.Snapshot",), params=CreateSnapshot)
async def create(run: ActRun, params: CreateSnapshot) -> str:
    """``POST /nodes/{node}/lxc/{vmid}/snapshot``."""
    lxc, guest = run.client.lxc, run.guest
    await run.pve_task(
        "snapshot",
        "vzsnapshot",
        lambda: lxc.create_snapshot(guest.node, guest.vmid, params.name, params.description),
    )
    return f"Took snapshot {params.name} of {guest}"
