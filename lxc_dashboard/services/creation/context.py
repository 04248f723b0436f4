"""The state that all steps of a creation share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.guest.base import Door
from lxc_dashboard.services.creation.access import Entrance, GuardedDoor, NoWay, Way, WayKind
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.engine.run import Run

if TYPE_CHECKING:
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.services.templates.model import RevisionContent


@dataclass
class RunContext(Run):
    """The run of a creation. ``revision``: None without a template.

    ``door_key``: the creation's own SSH key; None if its guest is not entered by SSH.
    """

    container_id: UUID
    spec: ContainerSpec
    entrance: Entrance | NoWay
    revision: RevisionContent | None
    password: str | None = field(default=None, repr=False)
    door_key: KeyPair | None = field(default=None, repr=False)

    @property
    def door(self) -> Door | None:
        """A door that enters only a guest with the job's marker; None if there is no way in."""
        return None if isinstance(self.entrance, NoWay) else GuardedDoor(self.entrance, self.guest.marker)

    @property
    def unmarked_door(self) -> Door | None:
        """A door without the marker check, for a guest that has no marker yet."""
        return None if isinstance(self.entrance, NoWay) else GuardedDoor(self.entrance, None)

    @property
    def way(self) -> Way | NoWay:
        return self.entrance if isinstance(self.entrance, NoWay) else self.entrance.way

    @property
    def by_ssh(self) -> bool:
        """Whether the door is the guest's own SSH server."""
        return isinstance(self.entrance, Entrance) and self.entrance.way.kind is WayKind.SSH
