"""What a job can tell, as codes and parameters: ``lxc_dashboard.text`` puts them into words where they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self, TypeAlias

from lxc_dashboard.db.repositories import tickets

# As JSON stores it and ``text`` shows it
Param: TypeAlias = str | int | list[str]


class EventCode(StrEnum):
    """Base of all codes, each with a text of the same key in ``text/events.py``. A feature declares its own beside its jobs."""


class JobCode(EventCode):
    """What the engine tells of jobs of all kinds."""

    SIGN_IN_ENDED = tickets.SIGN_IN_ENDED
    PAUSED = "job.paused"
    SLOT_AWAITED = "job.slot_awaited"
    FAILED = "job.failed"
    BROKE = "job.broke"
    STEP_RETRIED = "step.retried"
    TASK_AWAITED = "task.awaited"


# The time after these is nobody's work: the job waits for its user or its turn.
STANDSTILLS: Final = frozenset({JobCode.PAUSED, JobCode.SIGN_IN_ENDED, JobCode.SLOT_AWAITED})


@dataclass(frozen=True, slots=True)
class Message:
    """A code with its parameters."""

    code: str
    params: Mapping[str, Any]

    @classmethod
    def of(cls, code: EventCode, /, **params: Param) -> Self:
        return cls(code.value, params)

    def to_json(self) -> dict[str, Any]:
        """``{"code", "params"}``, as rows and checkpoints keep it."""
        return {"code": self.code, "params": dict(self.params)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["code"], values["params"])
