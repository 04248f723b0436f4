"""Ask PVE about a silent guest: it was stopped or restarted, or it is only slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import DashboardError, GuestGoneError, GuestUnreachableError, PhaseFailedError
from lxc_dashboard.guest.supervisor import Outcome
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access.entrance import Entrance
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.steps.start import START

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import GuestStatus
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

STOPPED_FOR_S: Final = 6.0  # PVE shows a rebooting guest as stopped for a while
LOOK_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 5.0  # then the door is tried again without PVE's answer
UPTIME_SLACK_S: Final = 2.0  # PVE counts whole seconds


class Liveness:
    """Whether one job's guest was stopped or restarted since this object was created."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._since = asyncio.get_running_loop().time()

    async def judge(self) -> Outcome | None:
        """``STOPPED``, ``RESTARTED``, or None. None also if PVE does not answer, or holds a lock on the guest.

        ``GET .../status/current``, repeated for ``STOPPED_FOR_S`` if the guest is stopped. Raises ``GuestGoneError``.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            asked_at = clock()
            status = await self._look()
            if status is None or status.lock:
                return None
            if status.running:
                return Outcome.RESTARTED if 0 < status.uptime < asked_at - self._since - UPTIME_SLACK_S else None
            if status.status != "stopped":
                return None
            if asked_at - began >= STOPPED_FOR_S:
                return Outcome.STOPPED
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> GuestStatus | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._entrance.look()
        except GuestGoneError:
            raise
        except (DashboardError, TimeoutError) as error:
            log.info("guest not looked at", why=str(error))
            return None


async def refuse_stopped(ctx: RunContext, error: DashboardError) -> None:
    """Raise ``PhaseFailedError`` if ``error`` is an unreachable door and the guest was stopped after its start."""
    if not isinstance(error, GuestUnreachableError) or not isinstance(ctx.entrance, Entrance):
        return
    if not ctx.checkpoint.is_done(START):
        return
    if await Liveness(ctx.entrance).judge() is Outcome.STOPPED:
        raise PhaseFailedError(ctx.recorder.step, Message.of(FailureCode.STOPPED, vmid=ctx.guest.vmid)) from error
