"""Syncing, 60-90 %: installs packages, runs scripts, and writes files whose directory or owner was missing before."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from lxc_dashboard.db.models import EventType, PackageManager, Phase
from lxc_dashboard.errors import DashboardError, GuestGoneError, GuestUnreachableError, PhaseFailedError
from lxc_dashboard.guest.files import Placement
from lxc_dashboard.guest.supervisor import Outcome, Step, StepEnd, Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access import Entrance
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.preflight.explain import Cause, close_names, explain, unknown_name
from lxc_dashboard.services.creation.preflight.findings import FindingCode
from lxc_dashboard.services.creation.steps.deploy import door_of, place_entry
from lxc_dashboard.services.creation.steps.packages import batches
from lxc_dashboard.services.creation.steps.start import START

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.proxmox.schemas import GuestStatus
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import Script, TemplateContent

log = structlog.get_logger(__name__)

STOPPED_FOR_S: Final = 6.0  # PVE shows a rebooting guest as stopped for a while
LOOK_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 5.0  # then the door is tried again without PVE's answer
UPTIME_SLACK_S: Final = 2.0  # PVE counts whole seconds


class Liveness:
    """Whether one job's guest was stopped or restarted since this object was created."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._since = asyncio.get_running_loop().time()

    async def judge(self) -> Outcome | None:
        """``STOPPED``, ``RESTARTED``, or None. None also if PVE does not answer, or holds a lock on the guest.

        ``GET .../status/current``, repeated for ``STOPPED_FOR_S`` if the guest is stopped. Raises ``GuestGoneError``.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            asked_at = clock()
            status = await self._look()
            if status is None or status.lock:
                return None
            if status.running:
                return Outcome.RESTARTED if 0 < status.uptime < asked_at - self._since - UPTIME_SLACK_S else None
            if status.status != "stopped":
                return None
            if asked_at - began >= STOPPED_FOR_S:
                return Outcome.STOPPED
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> GuestStatus | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._entrance.look()
        except GuestGoneError:
            raise
        except (DashboardError, TimeoutError) as error:
            log.info("guest not looked at", why=str(error))
            return None


async def refuse_stopped(ctx: RunContext, error: DashboardError) -> None:
    """Raise ``PhaseFailedError`` if ``error`` is an unreachable door and the guest was stopped after its start."""
    if not isinstance(error, GuestUnreachableError) or not isinstance(ctx.entrance, Entrance):
        return
    if not ctx.checkpoint.is_done(START):
        return
    if await Liveness(ctx.entrance).judge() is Outcome.STOPPED:
        raise PhaseFailedError(ctx.recorder.step, Message.of(FailureCode.STOPPED, vmid=ctx.guest.vmid)) from error


LINE_LIMIT_BYTES: Final = 16 * 1024
TAIL_LINES: Final = 40
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True, slots=True)
class GuestStep:
    """``key``: its name in the checkpoint. ``title``: its name for users. ``place``: where its output is in the log.

    ``manager``: of the packages that it installs; None for a script.
    """

    key: str
    title: str
    script: bytes = field(repr=False)
    timeout_s: int
    place: Mapping[str, Any]
    optional: bool = False
    manager: PackageManager | None = None


def fit_name(text: str) -> str:
    """``text`` as a name that is safe in the guest's file system and shell."""
    name = _UNFIT.sub("_", text)[:100]
    return name if name[:1].isalnum() else f"s{name}"


class LineReader:
    """Splits output into lines. ``offset`` counts the bytes of returned lines only, so that the rest is read again."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        self.offset += sum(len(line) + 1 for line in whole)
        lines = [_decoded(line) for line in whole]
        while len(self._rest) > LINE_LIMIT_BYTES:
            cut = _boundary(self._rest, LINE_LIMIT_BYTES)
            lines.append(_decoded(self._rest[:cut]))
            self._rest = self._rest[cut:]
            self.offset += cut
        return lines

    def close(self) -> list[str]:
        """The last line, if it has no newline."""
        rest, self._rest = self._rest, b""
        self.offset += len(rest)
        return [_decoded(rest)] if rest else []


def _decoded(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def _boundary(data: bytes, limit: int) -> int:
    """The last place up to ``limit`` where a cut does not split a UTF-8 character."""
    for cut in range(limit, max(limit - 4, 0), -1):
        if data[cut] & 0xC0 != 0x80:  # noqa: PLR2004 - marks a continuation byte
            return cut
    return limit


async def run_step(ctx: RunContext, supervisor: Supervisor, step: GuestStep) -> None:
    """Start the step, or adopt a started one, and log its output to the end. A repetition logs no line twice.

    Raises ``PhaseFailedError`` with the likely cause, unless the step is optional.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    end = await _follow(ctx, supervisor, step, tail)
    if end.ok:
        return
    cause = await _cause(ctx, step, end, list(tail))
    if step.optional and end.outcome is not Outcome.STOPPED:
        ctx.tell(CreationCode.SCRIPT_OPTIONAL_FAILED, EventType.WARNING, place=step.place, reason=cause.reason)
        return
    ctx.checkpoint.failed = step.key
    raise PhaseFailedError(ctx.recorder.step, cause.reason, step=step.title, of_disk=cause.of_disk)


async def _cause(ctx: RunContext, step: GuestStep, end: StepEnd, tail: list[str]) -> Cause:
    cause = explain(step.title, end, tail, guest=f"CT {ctx.guest.vmid}", installs=step.manager is not None)
    name = unknown_name(tail)
    if step.manager is None or ctx.door is None or not name or name not in cause.what:
        return cause
    close = await close_names(ctx.door, step.manager, name)
    if not close:
        return cause
    return replace(cause, reason=Message.of(FailureCode.SIMILAR_NAMES, cause=cause.reason, names=list(close)))


async def _follow(ctx: RunContext, supervisor: Supervisor, step: GuestStep, tail: deque[str]) -> StepEnd:
    checkpoint = ctx.checkpoint
    reader = LineReader(checkpoint.offset.get(step.key, 0))
    run = fit_name(checkpoint.run_of(step.key))
    guest_step = Step(run, fit_name(step.title), step.script, step.timeout_s)
    judge = Liveness(ctx.entrance).judge if isinstance(ctx.entrance, Entrance) else None
    async with aclosing(supervisor.follow(guest_step, reader.offset, judge)) as output:
        while not isinstance(item := await anext(output), StepEnd):
            await _tell(ctx, step, reader, reader.feed(item), tail)
    await _tell(ctx, step, reader, reader.close(), tail)
    return item


async def _tell(ctx: RunContext, step: GuestStep, reader: LineReader, lines: list[str], tail: deque[str]) -> None:
    if not lines:
        return
    tail.extend(lines)
    # No await between the two: a stored batch has both the lines and their offset, or neither.
    ctx.checkpoint.offset[step.key] = reader.offset
    await ctx.recorder.log(lines, **step.place)


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
