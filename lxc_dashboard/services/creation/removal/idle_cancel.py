"""The end of a cancelled run that nobody works on and that has nothing under way: at once, whoever is asked, however long the line is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.services.creation.steps import create, deploy, pause
from lxc_dashboard.services.jobs.engine import slots
from lxc_dashboard.services.jobs.engine.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.engine.ending import Ending, new_owner
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.kinds import Kind, Left

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime

_IDLE: Final = frozenset({"", slots.SLOT, create.CHECK, pause.PAUSE})


def is_idle(checkpoint: Checkpoint) -> bool:
    """Whether neither PVE nor the guest does anything for the run, and nothing of ours is in the guest."""
    if deploy.was_prepared(checkpoint) or _may_have_left_something(checkpoint):
        return False
    return checkpoint.active in _IDLE or checkpoint.active.startswith("begin.")


def _may_have_left_something(checkpoint: Checkpoint) -> bool:
    """A create that did not succeed, of this try or one before."""
    began = create.CREATE in checkpoint.intent or create.CREATE in checkpoint.runs
    return began and not checkpoint.is_done(create.CREATE)


async def end(kind: Kind[Any], rt: Runtime, creation: Job) -> bool:
    """Whether the run, which was asked to stop, has ended. False: a worker has to do it, or does it already."""
    checkpoint = Checkpoint.from_json(creation.checkpoint)
    keeps_a_key = checkpoint.is_done(create.CREATE) and creation.secrets_enc is not None
    if keeps_a_key or not is_idle(checkpoint):
        return False
    owner = new_owner()
    async with rt.db.transaction() as tx:
        taken = await tx.leases.acquire(creation.id, owner, rt.timing.lease_s)
    if taken is None:
        return False
    recorder = Recorder(rt, taken.id, owner, checkpoint, rt.timing.lease_s)
    try:
        await recorder.start(taken.step, taken.percent)
        await Ending(kind, rt, taken, recorder).cancelled(Left(checkpoint.is_done(create.CREATE)))
    except LeaseLostError:
        return False
    finally:
        await recorder.close()
    return True
