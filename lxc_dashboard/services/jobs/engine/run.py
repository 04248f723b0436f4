"""What the steps of one job work with."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.jobs.codes import JobCode, Message

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.codes import EventCode, Param
    from lxc_dashboard.services.jobs.engine.recorder import Recorder


@dataclass(slots=True)
class Guest:
    """The guest of a job. For a job without a guest, ``vmid`` is 0 and ``name`` is what the job is about.

    ``node``: where PVE last had the guest. ``marker``: the marker inside a container of the product. ``container_id``:
    its row; None for other guests. ``seen_at``: when PVE last answered for the guest there (monotonic clock).
    """

    vmid: int
    node: str
    marker: str = ""
    name: str = ""
    container_id: UUID | None = None
    seen_at: float = -math.inf

    def __str__(self) -> str:
        return f"CT {self.vmid} {self.name}".strip() if self.vmid else self.name

    def seen(self) -> None:
        self.seen_at = time.monotonic()

    def lost(self) -> None:
        """Have the guest located again, because it may be on another node."""
        self.seen_at = -math.inf

    def was_seen_within(self, seconds: float) -> bool:
        return time.monotonic() - self.seen_at < seconds


async def find_guest(client: ProxmoxClient, vmid: int) -> Guest:
    """The container with the node and name that PVE shows. ``GET /cluster/resources``.

    Raises ``NotFoundError`` if PVE shows the client's user no such container.
    """
    found = await client.cluster.find_guest(vmid)
    if found is None or found.type != "lxc":
        raise NotFoundError(Message.of(JobCode.NO_GUEST, vmid=vmid))
    return Guest(vmid, found.node, name=found.name)


@dataclass
class Run:
    """A job while a worker runs it. ``client`` acts as the job's user.

    ``band``: the percentages of the whole job at which the present step begins and ends.
    """

    rt: Runtime
    job_id: UUID
    userid: str
    endpoint_id: UUID
    endpoint_name: str
    guest: Guest
    client: ProxmoxClient
    recorder: Recorder
    holds_slot: bool = field(default=False, kw_only=True)
    band: tuple[int, int] = field(default=(0, 100), kw_only=True)

    @property
    def checkpoint(self) -> Checkpoint:
        return self.recorder.checkpoint

    def tell(
        self,
        code: EventCode,
        kind: EventType = EventType.STEP,
        /,
        *,
        place: Mapping[str, Any] | None = None,
        **params: Param,
    ) -> None:
        self.recorder.tell(code, kind, place=place, **params)

    def tell_once(
        self,
        key: str,
        code: EventCode,
        kind: EventType = EventType.STEP,
        /,
        *,
        place: Mapping[str, Any] | None = None,
        **params: Param,
    ) -> None:
        """``tell``, unless the step told it before it was started again. ``key`` as in ``Checkpoint.told``."""
        if key not in self.checkpoint.told:
            self.checkpoint.told.append(key)
            self.tell(code, kind, place=place, **params)

    def reach(self, share: float) -> None:
        """Set the step's progress, from 0 to 1. The percentage never goes back."""
        low, high = self.band
        self.recorder.percent = max(self.recorder.percent, low + round((high - low) * min(max(share, 0.0), 1.0)))

    async def once(self, step: str, work: Callable[[], Awaitable[None]], *, fenced: bool = False) -> None:
        """Do ``work`` unless it was done before. It must be repeatable: a worker may die before that is stored.

        ``fenced``: return once it is stored, and raise if the lease is lost. Otherwise only the next flush raises. So a
        flush is required before any action that must not collide with another worker's.
        """
        if self.checkpoint.is_done(step):
            return
        self.checkpoint.active = step
        await work()
        self.checkpoint.mark_done(step)
        self.recorder.touch()
        if fenced:
            await self.recorder.flush()


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
