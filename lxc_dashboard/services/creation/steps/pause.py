"""The pause before the first start, in which the user may change the container in PVE. Only the user ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.kinds import StandstillError

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.context import RunContext

PAUSE: Final = "pause.before_start"


async def run(ctx: RunContext) -> None:
    """Raise ``StandstillError``, unless the user requested no pause or has ended it."""
    checkpoint = ctx.checkpoint
    if not ctx.spec.pause_after_create or checkpoint.is_done(PAUSE):
        return
    checkpoint.active = PAUSE
    ctx.tell_once(PAUSE, JobCode.PAUSED, vmid=ctx.guest.vmid)
    await ctx.recorder.flush()
    raise StandstillError(JobState.PAUSED)
