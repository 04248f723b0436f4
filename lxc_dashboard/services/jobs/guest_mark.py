"""What tells the guest of a job from a later one with the same vmid.

PVE writes no time of creation into the config of a container. It makes up a MAC address for each network device, which the
container keeps when it moves, is restored or rolled back. A clone, or a new container, gets others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ApiError, NotFoundError, PrivilegeError
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.proxmox.client import ProxmoxClient

log = structlog.get_logger(__name__)

# A checkpoint's fact: the MAC addresses of the guest that the job found.
MARK: Final = "hwaddrs"


async def read(client: ProxmoxClient, vmid: int, node: str) -> list[str]:
    """The guest's mark; empty where it has no network device, or PVE does not tell the user. ``GET .../config``."""
    try:
        config = await client.lxc.config(node, vmid)
    except (ApiError, PrivilegeError, NotFoundError) as error:
        log.info("guest mark not read", vmid=vmid, why=str(error))
        return []
    return sorted(net["hwaddr"].lower() for net in config.nets.values() if "hwaddr" in net)


def is_same(job: Job, present: Iterable[str]) -> bool | None:
    """Whether the guest with the job's vmid, whose mark is ``present``, is the one that the job found. None where nobody knows."""
    found, now = set(Checkpoint.from_json(job.checkpoint).facts.get(MARK, ())), set(present)
    return bool(found & now) if found and now else None
