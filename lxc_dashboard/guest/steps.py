"""What runs in a guest by itself, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lxc_dashboard.errors import GuestError

_STEP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,190}")


class Outcome(StrEnum):
    """How a step ended. ``lost``: its supervisor was killed. ``stopped`` and ``restarted``: the guest was, under it."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    LOST = "lost"


# Asks others about a guest that says nothing: STOPPED, RESTARTED, or None where it runs, or where nobody knows.
Judge = Callable[[], Awaitable[Outcome | None]]


async def nobody_knows() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """``id`` names one run for good: a second start of it adopts the first. ``name`` is what the script sees as $0."""

    id: str
    name: str
    script: bytes = field(repr=False)
    timeout_s: int

    def __post_init__(self) -> None:
        if not _STEP_ID.fullmatch(self.id) or not _STEP_ID.fullmatch(self.name):
            raise GuestError("The step has a name that a guest cannot hold", detail=f"{self.id} {self.name}")


@dataclass(frozen=True, slots=True)
class StepEnd:
    """``size`` is the length of all output in bytes."""

    outcome: Outcome
    exit_status: int
    size: int

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.EXIT and self.exit_status == 0


def judged(outcome: Outcome) -> StepEnd:
    """The end of a step by what is known from elsewhere."""
    return StepEnd(outcome, 0, 0)
