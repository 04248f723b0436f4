"""The creation of a container as a kind of job: its five steps, and how it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import CREATE_KIND, JobState, Lifecycle, Phase
from lxc_dashboard.errors import DashboardError, GuestGoneError, PhaseFailedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import access, ownership
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.creation import cancel as unattended
from lxc_dashboard.services.creation.access import NoWay
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.opening import open_context, plan
from lxc_dashboard.services.creation.preflight import volumes
from lxc_dashboard.services.creation.steps import create, deploy, finalize, start, sync
from lxc_dashboard.services.jobs.kinds import End, Kind, Left, Step, register

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

log = structlog.get_logger(__name__)

LOOK_WITHIN_S: Final = 5.0


async def _create(run: RunContext) -> None:
    if ownership.REPLACES in run.checkpoint.facts:
        await run.once(ownership.CLEAR, lambda: ownership.clear_replaced(run))
    await create.run(run)


STEPS: Final = (
    Step(Phase.CREATING, _create, CreationCode.CREATING, (0, 20)),
    Step(Phase.STARTING, start.run, CreationCode.STARTING, (20, 35)),
    Step(Phase.DEPLOYING, deploy.run, CreationCode.DEPLOYING, (35, 60)),
    Step(Phase.SYNCING, sync.run, CreationCode.SYNCING, (60, 90)),
    Step(Phase.FINALIZING, finalize.run, CreationCode.FINALIZING, (90, 100)),
)


class Creation(Kind[RunContext]):
    name = CREATE_KIND
    action = "creation"
    patience_s = 180.0
    steps = STEPS

    async def open(self, rt: Runtime, job: Job, recorder: Recorder) -> RunContext:
        """Raises ``SessionExpiredError``, and ``NotFoundError`` if the endpoint was removed."""
        ctx = await open_context(rt, job, recorder)
        if "plan" not in ctx.checkpoint.facts:
            ctx.checkpoint.facts["plan"] = plan(ctx)
        return ctx

    async def close(self, run: RunContext) -> None:
        if not isinstance(run.entrance, NoWay):
            await run.entrance.close()

    async def locate(self, run: RunContext) -> None:
        if run.checkpoint.is_done(create.CREATE):
            await access.follow(run.rt, run.client, run.guest)

    async def examine(self, run: RunContext, error: DashboardError) -> None:
        await sync.refuse_stopped(run, error)

    async def stop(self, run: RunContext) -> Left:
        return await cancelling.stop(run)

    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        return cancelling.stop_without_pve(recorder, error)

    async def end_idle(self, rt: Runtime, job: Job) -> bool:
        return await unattended.end(self, rt, job)

    async def explain(
        self, run: RunContext | None, recorder: Recorder, error: BaseException
    ) -> tuple[BaseException, bool]:
        if run is None:
            return error, ownership.may_be_made(recorder.checkpoint) and not isinstance(error, GuestGoneError)
        if isinstance(error, PhaseFailedError):
            error = await volumes.named(run, error)
        remains = await _remains(run, error)
        if not remains and recorder.checkpoint.is_done(create.CREATE):
            log.info("container deleted in PVE", job_id=str(run.job_id), why=str(error))
            error = await ownership.deleted(run)
        return error, remains

    def done(self, run: RunContext) -> End:
        facts = run.checkpoint.facts
        result = {
            "vmid": run.guest.vmid,
            "node": run.guest.node,
            "hostname": run.spec.hostname,
            "address": facts.get("address", ""),
            "ports": facts.get("ports", []),
            "credentials": facts.get("credentials", []),
        }
        message = Message.of(CreationCode.DONE, vmid=run.guest.vmid, hostname=run.spec.hostname)
        return End(JobState.DONE, message, result)

    def cancelled(self, by: str, recorder: Recorder, left: Left) -> Message:
        if not left.remains:
            return Message.of(CreationCode.CANCELLED, by=by)
        made = recorder.checkpoint.is_done(create.CREATE)
        return Message.of(CreationCode.CANCELLED_KEPT if made else CreationCode.CANCELLED_KEPT_IN_PART, by=by)

    async def record(self, tx: Transaction, job: Job, end: End, run: RunContext | None, recorder: Recorder) -> None:
        """Leave a failed container as it is, for a retry or for the user to destroy. Free the vmid if PVE has none."""
        container_id = job.own_container_id
        by = job.cancelled_by or job.userid
        detail = end.message.to_json()
        if run is not None:
            await tx.containers.set_lifecycle(container_id, Lifecycle.READY)
            await tx.containers.set_revision(container_id, run.revision.id if run.revision else None)
            await tx.containers.add_event(container_id, "created", "", userid=job.userid, detail=detail)
            return
        await tx.containers.set_lifecycle(container_id, Lifecycle.ERROR)
        await tx.containers.add_event(container_id, f"creation-{end.state.value}", "", userid=by, detail=detail)
        if end.state is JobState.FAILED and not end.left.remains and job.finished_at:
            await tx.containers.mark_lost(
                container_id, job.finished_at, for_good=recorder.checkpoint.is_done(create.CREATE)
            )
        elif end.state is JobState.CANCELLED and not end.left.remains:
            await tx.containers.mark_deleted(container_id)
        elif end.state is JobState.CANCELLED and job.params.get("password_mode") == PasswordMode.GIVEN.value:
            await tx.containers.set_root_password(container_id, None)  # a cancelled job is never retried


async def _remains(ctx: RunContext, error: BaseException) -> bool:
    """Whether PVE has a container of the job. Also True if PVE does not answer."""
    if isinstance(error, GuestGoneError):
        return False
    try:
        async with asyncio.timeout(LOOK_WITHIN_S):
            return await ownership.remains(ctx)
    except (DashboardError, TimeoutError) as fault:
        log.warning("container not looked for", job_id=str(ctx.job_id), why=str(fault))
        return True


CREATION: Final = Creation()
register(CREATION)
