"""Deploying, 35-60 %: installs marker, supervisor and helpers in the guest, and writes the template's files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import CommandFailedError, PhaseFailedError, WrongGuestError
from lxc_dashboard.guest.base import GUEST_FOLDER, STATE_FOLDER
from lxc_dashboard.guest.files import GuestFile, Placement, place
from lxc_dashboard.guest.supervisor import Supervisor, clear_marker, read_marker
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access import NoWay
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.ownership import ensure_ours
from lxc_dashboard.services.creation.preflight.explain import Cause, likely_cause
from lxc_dashboard.services.jobs.events.lines import plain, shown

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.jobs.engine.run import Checkpoint
    from lxc_dashboard.services.templates.model import FileEntry

PREPARE: Final = "deploy.prepare"
STAMP: Final = "stamp"  # when the guest got its marker; also part of the names of file backups
SAID_LINES: Final = 4  # of the guest's output after a failure
SAID_CHARS: Final = 200
READ_CHARS: Final = 4096
_CODES: Final = {
    Placement.SAME: CreationCode.FILE_SAME,
    Placement.KEPT: CreationCode.FILE_KEPT,
    Placement.WRITTEN: CreationCode.FILE_WRITTEN,
    Placement.SAVED: CreationCode.FILE_SAVED,
    Placement.HELD: CreationCode.FILE_HELD,
    Placement.UNOWNED: CreationCode.FILE_UNOWNED,
}


async def run(ctx: RunContext) -> None:
    """Does nothing if the job needs no door. Raises ``PhaseFailedError``, ``WrongGuestError``, the door's errors."""
    if not ctx.spec.enters_guest:
        ctx.reach(1)
        return
    door = door_of(ctx, Phase.DEPLOYING)
    await ctx.once(PREPARE, lambda: _prepare(ctx, door_of(ctx, Phase.DEPLOYING, marked=False)))
    ctx.reach(0.3)
    files = ctx.revision.content.files if ctx.revision else ()
    for number, entry in enumerate(files, 1):
        await ctx.once(f"deploy.file.{entry.name}", lambda entry=entry: _place(ctx, door, entry))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        ctx.reach(0.3 + 0.7 * number / len(files))
    ctx.reach(1)


def was_prepared(checkpoint: Checkpoint) -> bool:
    """Whether this try or an earlier one has put our files into the guest. A retry prepares the guest again."""
    return checkpoint.is_done(PREPARE) or PREPARE in checkpoint.runs


def door_of(ctx: RunContext, phase: str, *, marked: bool = True) -> Door:
    """The door into the guest; not ``marked``: without a marker check. Raises ``PhaseFailedError`` without a way in."""
    door = ctx.door if marked else ctx.unmarked_door
    if isinstance(ctx.way, NoWay) or door is None:
        way = ctx.way.reason if isinstance(ctx.way, NoWay) else Message.of(FailureCode.NO_WAY)
        raise PhaseFailedError(phase, Message.of(FailureCode.NOT_ENTERED, reason=way))
    return door


async def _prepare(ctx: RunContext, door: Door) -> None:
    """Install marker and helpers, but only in the container that this job created."""
    await ensure_ours(ctx, Phase.DEPLOYING, "prepare")
    try:
        await _install(ctx, door)
    except CommandFailedError as error:
        raise unprepared(ctx.recorder.step, error) from error
    ctx.checkpoint.facts.setdefault(STAMP, datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))
    ctx.tell(CreationCode.HELPERS_INSTALLED)


async def _install(ctx: RunContext, door: Door) -> None:
    """Install the supervisor with our marker. Clear a marker that came with the OS template.

    A foreign marker came with the OS template if PVE reports the guest as ours after the marker was read.
    Raises ``WrongGuestError`` if our marker was there before, or if the guest is another one now.
    """
    supervisor = Supervisor(door)
    try:
        await supervisor.install(ctx.guest.marker)
    except WrongGuestError:
        if STAMP in ctx.checkpoint.facts:
            raise
        marker = await read_marker(door)
        await ensure_ours(ctx, Phase.DEPLOYING, "prepare")
        await clear_marker(door, marker)
        await supervisor.install(ctx.guest.marker)
        ctx.tell(CreationCode.FORMER_JOB_CLEARED)


async def _place(ctx: RunContext, door: Door, entry: FileEntry) -> None:
    placement = await place_entry(ctx, door, entry)
    ctx.tell(_CODES[placement], target=entry.target)
    if placement in {Placement.HELD, Placement.UNOWNED}:
        held: list[Any] = ctx.checkpoint.facts.setdefault("held", [])
        if entry.name not in held:
            held.append(entry.name)


async def place_entry(ctx: RunContext, door: Door, entry: FileEntry) -> Placement:
    """Write one file. Raises ``PhaseFailedError`` with the guest's output if that fails."""
    file = GuestFile(
        directory=entry.target_dir,
        name=entry.name,
        content=entry.content,
        policy=entry.policy.value,
        stamp=str(ctx.checkpoint.facts[STAMP]),
        mode=entry.mode,
        owner=entry.owner,
    )
    try:
        return await place(door, file)
    except CommandFailedError as error:
        raise unwritable(ctx.recorder.step, entry, error) from error


def unwritable(phase: str, entry: FileEntry, error: CommandFailedError) -> PhaseFailedError:
    """The error for a file: its name, its target and the guest's output, cut short."""
    output, likely = _words(error)
    name, target = entry.name, entry.target
    if likely is None:
        reason = Message.of(FailureCode.FILE_UNWRITABLE, name=name, target=target, output=output)
    else:
        reason = Message.of(
            FailureCode.FILE_UNWRITABLE_BECAUSE, name=name, target=target, output=output, advice=likely.reason
        )
    return PhaseFailedError(phase, reason, step=name, of_disk=likely is not None and likely.of_disk)


def unprepared(phase: str, error: CommandFailedError) -> PhaseFailedError:
    """The error for helpers and marker: the guest's output, cut short."""
    output, likely = _words(error)
    if likely is None:
        folders = [GUEST_FOLDER, STATE_FOLDER]
        reason = Message.of(FailureCode.UNPREPARED, output=output, folders=folders)
    else:
        reason = Message.of(FailureCode.UNPREPARED_BECAUSE, output=output, advice=likely.reason)
    return PhaseFailedError(phase, reason, step="prepare", of_disk=likely is not None and likely.of_disk)


def _words(error: CommandFailedError) -> tuple[Message | str, Cause | None]:
    """The guest's output, cut and cleaned, and its likely cause; None if the cause is unknown."""
    lines = [
        plain(shown(line, SAID_CHARS)).strip() for line in error.output_tail[:READ_CHARS].splitlines()[:SAID_LINES]
    ]
    likely = likely_cause(lines)
    output = "; ".join(line for line in lines if line)
    if not output:
        return Message.of(FailureCode.SILENT_END, status=error.exit_status), likely
    return output, likely
