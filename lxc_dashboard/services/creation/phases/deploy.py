"""35-60 %: the door, the marker, supervisor and helpers, and the template's files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import PhaseFailedError
from lxc_dashboard.guest.files import GuestFile, Placement, place
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.doors import NoWay
from lxc_dashboard.services.creation.ownership import ensure_ours

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.templates.model import FileEntry

PREPARE: Final = "deploy.prepare"
_SAID: Final = {
    Placement.SAME: "is there already",
    Placement.KEPT: "exists and is kept",
    Placement.WRITTEN: "written",
    Placement.SAVED: "written, the former one kept beside it",
    Placement.HELD: "held back: its directory does not exist yet",
    Placement.UNOWNED: "held back: its owner does not exist yet",
}


async def run(ctx: RunContext) -> None:
    """Raises ``PhaseFailedError``, ``WrongGuestError``, what the door raises. Nothing to do without a template."""
    if not ctx.spec.enters_guest:
        ctx.reach(1)
        return
    door = door_of(ctx, Phase.DEPLOYING)
    await ctx.once(PREPARE, lambda: _prepare(ctx))
    ctx.reach(0.3)
    files = ctx.revision.content.files if ctx.revision else ()
    for number, entry in enumerate(files, 1):
        await ctx.once(f"deploy.file.{entry.name}", lambda entry=entry: _place(ctx, door, entry))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        ctx.reach(0.3 + 0.7 * number / len(files))
    ctx.reach(1)


def door_of(ctx: RunContext, phase: Phase) -> Door:
    if isinstance(ctx.way, NoWay) or ctx.door is None:
        told = ctx.way if isinstance(ctx.way, NoWay) else NoWay("There is no way into this guest", "")
        raise PhaseFailedError(phase.value, told.cause, remedy=f"{told.remedy}, then retry")
    return ctx.door


async def _prepare(ctx: RunContext) -> None:
    """The marker goes only into the very container that this run has made."""
    door = ctx.unmarked_door
    if door is None:
        return
    await ensure_ours(ctx, Phase.DEPLOYING, "prepare")
    await Supervisor(door).install(ctx.guest.marker)
    ctx.checkpoint.facts.setdefault("stamp", datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))
    ctx.tell("Helpers are in the guest")


async def _place(ctx: RunContext, door: Door, entry: FileEntry) -> None:
    placement = await place_entry(ctx, door, entry)
    ctx.tell(f"{entry.target}: {_SAID[placement]}")
    if placement in {Placement.HELD, Placement.UNOWNED}:
        held: list[Any] = ctx.checkpoint.facts.setdefault("held", [])
        if entry.name not in held:
            held.append(entry.name)


async def place_entry(ctx: RunContext, door: Door, entry: FileEntry) -> Placement:
    file = GuestFile(
        directory=entry.target_dir,
        name=entry.name,
        content=entry.content,
        policy=entry.policy.value,
        stamp=str(ctx.checkpoint.facts["stamp"]),
        mode=entry.mode,
        owner=entry.owner,
    )
    return await place(door, file)
