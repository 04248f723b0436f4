"""Runs a step in the guest: logs its output line by line, keeps the offset, and explains a failure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lxc_dashboard.db.models import EventType, PackageManager
from lxc_dashboard.errors import PhaseFailedError
from lxc_dashboard.guest.supervisor import Outcome, Step, StepEnd, Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access.entrance import Entrance
from lxc_dashboard.services.creation.access.liveness import Liveness
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.preflight.explain import Cause, close_names, explain, unknown_name

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
