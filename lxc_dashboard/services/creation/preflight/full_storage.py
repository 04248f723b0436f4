"""A storage without room for a container's disk. PVE ends the create task with OK all the same, and the guest's file
system then becomes read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import DashboardError, PhaseFailedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.failures import FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import NodeStorage
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

# A pool of LVM tells its use in hundredths of a percent, and the last blocks of a storage are often kept back.
FULL_SHARE: Final = 0.001
FULL_BYTES: Final = 16 * 1024**2


def is_full(storage: NodeStorage) -> bool:
    """False for one that does not tell its size."""
    return bool(storage.total) and storage.avail < max(FULL_BYTES, storage.total * FULL_SHARE)


async def find(ctx: RunContext) -> str:
    """The first storage of this container that is full; empty where none is, or PVE does not tell.

    ``GET /nodes/{node}/storage``.
    """
    own = {volume.storage for volume in ctx.spec.volumes}
    try:
        seen = await ctx.client.nodes.storage(ctx.guest.node)
    except DashboardError as error:
        log.info("storages not told", job_id=str(ctx.job_id), why=str(error))
        return ""
    return next((storage.storage for storage in seen if storage.storage in own and is_full(storage)), "")


async def named(ctx: RunContext, error: PhaseFailedError) -> PhaseFailedError:
    """``error``, or the same with the full storage that is behind it."""
    name = await find(ctx) if error.of_disk else ""
    return caused_by(name, error) if name else error


def caused_by(name: str, error: PhaseFailedError) -> PhaseFailedError:
    """``error`` as caused by the full storage ``name``."""
    return PhaseFailedError(
        error.phase, Message.of(FailureCode.STORAGE_FULL, storage=name, reason=error.reason), step=error.step
    )
