"""What a preflight is asked, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.access.doors import NoWay, Way
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import TemplateContent


@dataclass(frozen=True, slots=True)
class Leaving:
    """A container of ours that goes before the new one comes: what it holds is not in the way."""

    container_id: UUID
    vmid: int


@dataclass(frozen=True, slots=True)
class Question:
    """``own``: the container of the very run that asks; ``leaving``: one that is destroyed first; ``count``: how many alike."""

    rt: Runtime
    client: ProxmoxClient
    endpoint_id: UUID
    userid: str
    spec: ContainerSpec
    vmid: int | None
    way: Way | NoWay
    content: TemplateContent | None
    own: UUID | None = None
    leaving: Leaving | None = None
    count: int = 1

    @property
    def not_in_the_way(self) -> UUID | None:
        """The container of ours whose name, vmid and address the new one may have."""
        return self.own or (self.leaving.container_id if self.leaving else None)
