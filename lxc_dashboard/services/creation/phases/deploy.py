"""35-60 %: the door, the marker, supervisor and helpers, and the template's files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import CommandFailedError, PhaseFailedError
from lxc_dashboard.guest.files import GuestFile, Placement, place
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.doors import NoWay
from lxc_dashboard.services.creation.explain import likely_cause
from lxc_dashboard.services.creation.lines import plain, shown
from lxc_dashboard.services.creation.ownership import ensure_ours

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.templates.model import FileEntry

PREPARE: Final = "deploy.prepare"
SAID_LINES: Final = 4  # of what a guest says of a file that it does not take
SAID_CHARS: Final = 200
READ_CHARS: Final = 4096
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
    """Raises ``PhaseFailedError`` with what the guest says of a file that cannot be written."""
    file = GuestFile(
        directory=entry.target_dir,
        name=entry.name,
        content=entry.content,
        policy=entry.policy.value,
        stamp=str(ctx.checkpoint.facts["stamp"]),
        mode=entry.mode,
        owner=entry.owner,
    )
    try:
        return await place(door, file)
    except CommandFailedError as error:
        raise unwritable(ctx.recorder.phase, entry, error) from error


def unwritable(phase: Phase, entry: FileEntry, error: CommandFailedError) -> PhaseFailedError:
    """Names the file, its target and, cut short, what the guest said of it."""
    lines = [
        plain(shown(line, SAID_CHARS)).strip() for line in error.output_tail[:READ_CHARS].splitlines()[:SAID_LINES]
    ]
    said = "; ".join(line for line in lines if line) or f"it ended with status {error.exit_status}"
    likely = likely_cause(lines)
    return PhaseFailedError(
        phase.value,
        f"{entry.name} cannot be written to {entry.target} in the guest: {said}",
        step=entry.name,
        remedy=likely.remedy
        if likely
        else "Mend the file's .path or owner, or what is in its way in the guest, then retry",
    )
