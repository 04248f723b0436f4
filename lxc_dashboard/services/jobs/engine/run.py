"""What the steps of one job work with."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.jobs.codes import JobCode, Message

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.codes import EventCode, Param
    from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
    from lxc_dashboard.services.jobs.engine.recorder import Recorder


@dataclass(slots=True)
class Guest:
    """The guest of a job; of one about no guest ``vmid`` is 0, and ``name`` what it is about. ``marker``: what a container of the product carries inside; ``container_id``: its row, None of others.

    ``node`` is where PVE last had it. ``seen_at``, by the monotonic clock: when PVE last answered for it there.
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
        """It may be on another node by now."""
        self.seen_at = -math.inf

    def was_seen_within(self, seconds: float) -> bool:
        return time.monotonic() - self.seen_at < seconds


async def find_guest(client: ProxmoxClient, vmid: int) -> Guest:
    """The container by the node and name that PVE shows. ``GET /cluster/resources``.

    Raises ``NotFoundError`` where PVE shows the client's user no such container.
    """
    found = await client.cluster.find_guest(vmid)
    if found is None or found.type != "lxc":
        raise NotFoundError(Message.of(JobCode.NO_GUEST, vmid=vmid))
    return Guest(vmid, found.node, name=found.name)


@dataclass
class Run:
    """A job in the hands of its worker. ``client`` is PVE as the job's user.

    ``band``: the percentages, of the whole job, at which the present step begins and ends.
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
        """``tell``, unless it was told before its step was begun again. ``key`` as in ``Checkpoint.told``."""
        if key not in self.checkpoint.told:
            self.checkpoint.told.append(key)
            self.tell(code, kind, place=place, **params)

    def reach(self, share: float) -> None:
        """How far the step is, from 0 to 1; the percentage never goes back."""
        low, high = self.band
        self.recorder.percent = max(self.recorder.percent, low + round((high - low) * min(max(share, 0.0), 1.0)))

    async def once(self, step: str, work: Callable[[], Awaitable[None]], *, fenced: bool = False) -> None:
        """Do ``work`` unless it was done before; it must bear being done twice where a worker dies before that is stored.

        ``fenced``: return when it is stored; who has lost the lease goes no further. Where it is not, only the next flush
        says so: none may be missing before an act that another worker must not meet.
        """
        if self.checkpoint.is_done(step):
            return
        self.checkpoint.active = step
        await work()
        self.checkpoint.mark_done(step)
        self.recorder.touch()
        if fenced:
            await self.recorder.flush()
