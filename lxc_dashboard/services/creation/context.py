"""What the phases of one run share."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.guest.base import Door
from lxc_dashboard.services.creation.doors import NoWay, Way, WayKind
from lxc_dashboard.services.creation.entrance import Entrance, GuardedDoor
from lxc_dashboard.services.creation.spec import ContainerSpec
from lxc_dashboard.services.jobs.checkpoint import Checkpoint

if TYPE_CHECKING:
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.recorder import Recorder
    from lxc_dashboard.services.templates.report import RevisionContent

BANDS: Final = {
    Phase.CREATING: (0, 20),
    Phase.STARTING: (20, 35),
    Phase.DEPLOYING: (35, 60),
    Phase.SYNCING: (60, 90),
    Phase.FINALIZING: (90, 100),
}


@dataclass(slots=True)
class Guest:
    """The container that the run makes. ``container_id`` is our own, ``marker`` what it carries inside.

    ``node`` is where it was when last looked for: see ``Entrance.follow``. ``seen_at``, by the monotonic clock: when PVE last
    answered for it there.
    """

    container_id: UUID
    vmid: int
    node: str
    marker: str
    seen_at: float = -math.inf

    def seen(self) -> None:
        self.seen_at = time.monotonic()

    def lost(self) -> None:
        """It may be on another node by now."""
        self.seen_at = -math.inf

    def was_seen_within(self, seconds: float) -> bool:
        return time.monotonic() - self.seen_at < seconds


@dataclass
class RunContext:
    """``revision`` None: no template. ``door_key``: made for this creation, where its guest is entered by SSH."""

    rt: Runtime
    job_id: UUID
    userid: str
    endpoint_id: UUID
    endpoint_name: str
    spec: ContainerSpec
    guest: Guest
    client: ProxmoxClient
    recorder: Recorder
    entrance: Entrance | NoWay
    revision: RevisionContent | None
    password: str | None = field(default=None, repr=False)
    holds_slot: bool = False
    door_key: KeyPair | None = field(default=None, repr=False)

    @property
    def door(self) -> Door | None:
        """The way into the guest that carries the run's marker; None where there is no way."""
        return None if isinstance(self.entrance, NoWay) else GuardedDoor(self.entrance, self.guest.marker)

    @property
    def unmarked_door(self) -> Door | None:
        """The same before the guest has its marker."""
        return None if isinstance(self.entrance, NoWay) else GuardedDoor(self.entrance, None)

    @property
    def way(self) -> Way | NoWay:
        return self.entrance if isinstance(self.entrance, NoWay) else self.entrance.way

    @property
    def by_ssh(self) -> bool:
        """Whether the guest is entered by its own SSH server."""
        return isinstance(self.entrance, Entrance) and self.entrance.way.kind is WayKind.SSH

    @property
    def checkpoint(self) -> Checkpoint:
        return self.recorder.checkpoint

    def tell(self, message: str, kind: EventType = EventType.STEP, **place: Any) -> None:
        self.recorder.tell(message, kind, **place)

    def tell_once(self, key: str, message: str, kind: EventType = EventType.STEP, **place: Any) -> None:
        """``tell``, unless it was told before its step was begun again. ``key`` as in ``Checkpoint.told``."""
        if key not in self.checkpoint.told:
            self.checkpoint.told.append(key)
            self.tell(message, kind, **place)

    def reach(self, share: float) -> None:
        """How far the phase is, from 0 to 1; the percentage never goes back."""
        low, high = BANDS[self.recorder.phase]
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
