"""The pause before the first start, for what its user adds in PVE meanwhile; only they end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.kinds import StandstillError

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.context import RunContext

PAUSE: Final = "pause.before_start"


async def run(ctx: RunContext) -> None:
    """Nothing where no pause was asked for, or it is over. Raises ``StandstillError``."""
    checkpoint = ctx.checkpoint
    if not ctx.spec.pause_after_create or checkpoint.is_done(PAUSE):
        return
    checkpoint.active = PAUSE
    ctx.tell_once(PAUSE, JobCode.PAUSED, vmid=ctx.guest.vmid)
    await ctx.recorder.flush()
    raise StandstillError(JobState.PAUSED)
