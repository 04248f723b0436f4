"""What the steps of a creation work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.guest.base import Door
from lxc_dashboard.services.creation.access.doors import NoWay, Way, WayKind
from lxc_dashboard.services.creation.access.entrance import Entrance, GuardedDoor
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.engine.run import Run

if TYPE_CHECKING:
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.services.templates.summaries import RevisionContent


@dataclass
class RunContext(Run):
    """The run of a creation. ``revision`` None: no template. ``door_key``: made for this creation, where its guest is entered by SSH."""

    container_id: UUID
    spec: ContainerSpec
    entrance: Entrance | NoWay
    revision: RevisionContent | None
    password: str | None = field(default=None, repr=False)
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
