"""The progress of a job, stored for the next worker in the same transaction as the events about it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class Checkpoint:
    """The stored progress of a job.

    ``done``: finished steps. ``intent``: UPIDs known before a step's POST, to recognize its task if the answer is lost.
    ``upid``: the task of a step, saved before the wait for its end. ``begun``: that task and those of earlier tries.
    ``lines``: how many log lines of that task are stored as events. ``offset``: the same for a guest step, in bytes.
    ``runs``: how often the user had a step run again; part of its name in the guest.
    ``told``: keys of events that are not repeated when a step starts again: its name, also with a colon and a suffix.
    ``facts``: what later steps need.
    """

    done: list[str] = field(default_factory=list)
    intent: dict[str, list[str]] = field(default_factory=dict)
    upid: dict[str, str] = field(default_factory=dict)
    begun: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    offset: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    active: str = ""
    failed: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Checkpoint:
        """Ignore unknown keys, which a newer version may have written."""
        known = cls.__dataclass_fields__
        return cls(**deepcopy({name: value for name, value in values.items() if name in known}))

    def to_json(self) -> dict[str, Any]:
        """A deep copy, independent of later changes."""
        copied: dict[str, Any] = msgspec.to_builtins(self)
        return copied

    def is_done(self, step: str) -> bool:
        return step in self.done

    def mark_done(self, step: str) -> None:
        if step not in self.done:
            self.done.append(step)
        if self.active == step:
            self.active = ""
        if self.failed == step:  # its task failed, but the result exists all the same
            self.failed = ""

    def begin(self, step: str, upid: str) -> None:
        """Note ``upid`` as the step's task."""
        self.upid[step] = upid
        begun = self.begun.setdefault(step, [])
        if upid not in begun:
            begun.append(upid)

    def came_to_nothing(self, step: str) -> None:
        """Forget the step's task, which has ended without doing anything, so that another one may be started."""
        upid = self.upid.pop(step, None)
        if upid is not None:
            self.intent[step] = [*self.intent.get(step, ()), upid]
        self.lines.pop(step, None)
        if self.failed == step:
            self.failed = ""

    def run_of(self, step: str) -> str:
        """The step's name in the guest, with a number after the first run."""
        number = self.runs.get(step, 1)
        return step if number == 1 else f"{step}.{number}"

    def again(self, step: str) -> None:
        """Have the step run once more, as the user requested."""
        self.runs[step] = self.runs.get(step, 1) + 1
        for known in (self.intent, self.upid, self.lines, self.offset):
            known.pop(step, None)
        self.told = [known for known in self.told if known.partition(":")[0] != step]
        if step in self.done:
            self.done.remove(step)
        self.active = self.failed = ""
