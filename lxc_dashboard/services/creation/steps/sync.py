"""Syncing, 60-90 %: installs packages, runs scripts, and writes files whose directory or owner was missing before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.errors import PhaseFailedError
from lxc_dashboard.guest.files import Placement
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.preflight.findings import FindingCode
from lxc_dashboard.services.creation.steps.deploy import door_of, place_entry
from lxc_dashboard.services.creation.steps.guest_steps import GuestStep, fit_name, run_step
from lxc_dashboard.services.creation.steps.packages import batches

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import Script, TemplateContent

HELD_BACK: Final = "sync.held"
_CODES: Final = {
    Placement.SAME: CreationCode.FILE_SAME_LATER,
    Placement.KEPT: CreationCode.FILE_KEPT_LATER,
    Placement.WRITTEN: CreationCode.FILE_WRITTEN_LATER,
    Placement.SAVED: CreationCode.FILE_SAVED_LATER,
}


async def run(ctx: RunContext) -> None:
    """Does nothing if the job needs no door. Raises ``PhaseFailedError`` naming the step, and the door's errors."""
    if not ctx.spec.enters_guest:
        ctx.reach(1)
        return
    door = door_of(ctx, Phase.SYNCING)
    supervisor = Supervisor(door)
    steps = steps_of(ctx)
    for number, step in enumerate(steps):
        await ctx.once(step.key, lambda step=step: _run(ctx, supervisor, step), fenced=True)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        ctx.reach((number + 1) / (len(steps) + 1))
    await ctx.once(HELD_BACK, lambda: _place_held(ctx, door))
    ctx.reach(1)


def steps_of(ctx: RunContext) -> list[GuestStep]:
    """All steps in the guest, in order: packages by manager, then scripts."""
    content = ctx.revision.content if ctx.revision else None
    steps = [
        GuestStep(batch.key, batch.title, batch.script, batch.timeout_s, {"script": batch.title}, manager=batch.manager)
        for batch in batches(ctx.spec, content)
    ]
    scripts = chosen_scripts(ctx.spec, content)
    for number, script in enumerate(scripts, 1):
        place = {"script": script.name, "script_index": number, "script_total": len(scripts)}
        key = f"script.{number:03d}.{fit_name(script.name)}"
        steps.append(GuestStep(key, script.name, script.content.encode(), script.timeout_s, place, script.optional))
    return steps


def chosen_scripts(spec: ContainerSpec, content: TemplateContent | None) -> Sequence[Script]:
    """The scripts in the user's order, else in the template's. Raises ``PhaseFailedError`` for an unknown script."""
    if content is None:
        return ()
    if spec.scripts is None:
        return [script for script in content.scripts if script.enabled]
    by_name = {script.name: script for script in content.scripts}
    unknown = [name for name in spec.scripts if name not in by_name]
    if unknown:
        raise PhaseFailedError(Phase.SYNCING.value, Message.of(FindingCode.SCRIPTS_MISSING, scripts=unknown))
    return [by_name[name] for name in spec.scripts]


async def _run(ctx: RunContext, supervisor: Supervisor, step: GuestStep) -> None:
    ctx.tell_once(step.key, CreationCode.SCRIPT_RUNNING, place=step.place, name=step.title)
    await run_step(ctx, supervisor, step)


async def _place_held(ctx: RunContext, door: Door) -> None:
    names = set(ctx.checkpoint.facts.get("held", ()))
    entries = [entry for entry in ctx.revision.content.files if entry.name in names] if ctx.revision else []
    for entry in entries:
        placement = await place_entry(ctx, door, entry)
        if placement is Placement.UNOWNED:
            ctx.checkpoint.failed = HELD_BACK
            raise PhaseFailedError(
                Phase.SYNCING.value,
                Message.of(FailureCode.OWNER_MISSING, target=entry.target, owner=entry.owner),
                step=entry.name,
            )
        if placement is Placement.HELD:
            ctx.checkpoint.failed = HELD_BACK
            raise PhaseFailedError(
                Phase.SYNCING.value,
                Message.of(FailureCode.FOLDER_MISSING, name=entry.name, folder=entry.target_dir),
                step=entry.name,
            )
        kind = EventType.WARNING if placement is Placement.KEPT else EventType.STEP
        ctx.tell_once(f"{HELD_BACK}:{entry.name}", _CODES[placement], kind, target=entry.target)
