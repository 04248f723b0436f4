"""What a run remembers from one worker to the next. Written in the same transaction as the events that tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class Checkpoint:
    """``done``: steps that are over. ``intent``: UPIDs known before a step's POST, so that its task can be told apart
    when the answer was lost. ``upid``: the task of a step, saved before it is waited for; ``begun``: that and those of earlier tries. ``lines``: log lines of that
    task already told. ``offset``: bytes of a guest step's output already told. ``runs``: how often the user had a step
    run again; part of its name in the guest. ``told``: what was said of steps that may be begun again (the step's name, and
    behind a colon what else there is to say of it). ``facts``: what later steps need.
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
        """Unknown keys, of a newer version, are left out."""
        known = cls.__dataclass_fields__
        return cls(**deepcopy({name: value for name, value in values.items() if name in known}))

    def to_json(self) -> dict[str, Any]:
        """A copy: what changes later is not in it."""
        copied: dict[str, Any] = msgspec.to_builtins(self)
        return copied

    def is_done(self, step: str) -> bool:
        return step in self.done

    def mark_done(self, step: str) -> None:
        if step not in self.done:
            self.done.append(step)
        if self.active == step:
            self.active = ""
        if self.failed == step:  # its task did, and what it was for is there all the same
            self.failed = ""

    def begin(self, step: str, upid: str) -> None:
        """``upid`` is the step's task from now on."""
        self.upid[step] = upid
        begun = self.begun.setdefault(step, [])
        if upid not in begun:
            begun.append(upid)

    def came_to_nothing(self, step: str) -> None:
        """The step's task, if there was one, has ended without doing anything: another one may be started for it."""
        upid = self.upid.pop(step, None)
        if upid is not None:
            self.intent[step] = [*self.intent.get(step, ()), upid]
        self.lines.pop(step, None)
        if self.failed == step:
            self.failed = ""

    def run_of(self, step: str) -> str:
        """The step's name in the guest, another one for each time that the user asked for it."""
        number = self.runs.get(step, 1)
        return step if number == 1 else f"{step}.{number}"

    def again(self, step: str) -> None:
        """Have the step run once more: the user asked for it."""
        self.runs[step] = self.runs.get(step, 1) + 1
        for known in (self.intent, self.upid, self.lines, self.offset):
            known.pop(step, None)
        self.told = [known for known in self.told if known.partition(":")[0] != step]
        if step in self.done:
            self.done.remove(step)
        self.active = self.failed = ""
