"""Runs one job from its lease to its end. If the worker dies, the next one continues from the checkpoint."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import EventType, Job, JobState
from lxc_dashboard.db.repositories.jobs import FINISHED, Standing
from lxc_dashboard.errors import DashboardError, LeaseGoneError, ServiceUnavailableError, SessionExpiredError
from lxc_dashboard.services.jobs import kinds
from lxc_dashboard.services.jobs.codes import EventCode, JobCode
from lxc_dashboard.services.jobs.engine import ending, slots, ticket
from lxc_dashboard.services.jobs.engine.ending import Ending, Lease, new_owner
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.engine.run import Checkpoint, Run
from lxc_dashboard.services.jobs.kinds import BeginAgainError, Kind, StandstillError, Step, kind_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

# A step does not look up the guest's node if PVE has answered for the guest within this time.
JUST_S: Final = 1.0
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
GIVE_BACK_WITHIN_S: Final = 3.0


class Interruption(StrEnum):
    """Why a job stops before its end."""

    LEASE_LOST = "lease lost"
    CANCEL = "cancel"
    SIGN_IN = "sign in"


async def run(rt: Runtime, job_id: UUID | str) -> None:
    """Work on the job until it ends, pauses, waits for a sign-in, or another worker takes it.

    Returns at once if a worker holds the job, or if this version does not know its kind. If cancelled (the worker
    ends), releases the job and stops nothing in PVE or the guest.
    """
    known = UUID(str(job_id))
    owner = new_owner()
    async with rt.db.transaction() as tx:
        job = await tx.leases.acquire(known, owner, rt.timing.lease_s, kinds=kinds.known())
    if job is None:
        log.info("job not taken", job_id=str(known))
        return
    log.info("job taken", job_id=str(known), kind=job.kind, owner=owner, attempt=job.attempt)
    async with Lease(rt, known, owner) as lease:
        await Execution(rt, job, lease, kind_of(job.kind)).execute()


class Execution:
    """One worker's attempt at a job whose lease it holds."""

    def __init__(self, rt: Runtime, job: Job, lease: Lease, kind: Kind[Any]) -> None:
        self._rt = rt
        self._job = job
        self._lease = lease
        self._kind = kind
        self._run: Run | None = None
        self._completing = False
        checkpoint = Checkpoint.from_json(job.checkpoint)
        self._recorder = Recorder(rt, job.id, lease.owner, checkpoint, rt.timing.lease_s)
        self._ending = Ending(kind, rt, job, self._recorder)

    async def execute(self) -> None:
        try:
            await self._recorder.start(self._job.step, self._job.percent)
            await self._until_end()
            if self._run is not None and self._run.holds_slot:
                await slots.wake(self._rt, self._job.endpoint_id, self._run.guest.node)
        except LeaseLostError:
            log.warning("job left to another worker", job_id=str(self._job.id))
        except asyncio.CancelledError:
            await self._give_back()
            raise
        finally:
            await self._recorder.close()
            if self._run is not None:
                await self._kind.close(self._run)

    async def _until_end(self) -> None:
        work = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.wait((work, watch))
        if work.cancelled():
            await self._interrupted(watch.result())
        elif (error := work.exception()) is not None:
            await self._failed(error)

    async def _work(self) -> None:
        while True:
            try:
                await self._through_steps()
            except BeginAgainError:
                continue
            return

    async def _through_steps(self) -> None:
        run = self._run = await self._open()
        for step in self._kind.steps:
            if run.checkpoint.is_done(f"phase.{step.name}"):
                continue
            self._recorder.step, run.band = step.name, step.band
            run.reach(0)
            await run.once(f"begin.{step.name}", lambda step=step: _say(run, step.begins), fenced=True)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            await self._patiently(run, step)
            run.checkpoint.mark_done(f"phase.{step.name}")
        self._completing = True
        await self._ending.complete(run)

    async def _open(self) -> Run:
        """``Kind.open``, repeated until the database answers. Without it, a failure could not be stored either."""
        while True:
            try:
                opened: Run = await self._kind.open(self._rt, self._job, self._recorder)
            except LeaseGoneError as error:
                await self._hold_again(error)
            except ServiceUnavailableError as error:
                log.warning("job not opened yet", job_id=str(self._job.id), why=str(error))
                await asyncio.sleep(ending.AGAIN_AFTER_S)
            else:
                return opened

    async def _hold_again(self, error: LeaseGoneError) -> None:
        """Renew a lease that expired while the database was away. Raises ``LeaseLostError`` if that is impossible."""
        if not await self._lease.renew():
            raise LeaseLostError from error

    async def _patiently(self, run: Run, step: Step[Any]) -> None:
        """Run a step. Try it again from the last checkpoint while its error is retryable and patience lasts."""
        loop = asyncio.get_running_loop()
        tries, until, reached = 0, 0.0, run.checkpoint.to_json()
        while True:
            try:
                await self._held_through(run, step)
            except DashboardError as error:
                if not error.retryable:
                    raise
                run.guest.lost()
                await self._kind.examine(run, error)
                if tries == 0 or run.checkpoint.to_json() != reached:
                    tries, until, reached = 0, loop.time() + self._kind.patience_s, run.checkpoint.to_json()
                    run.tell(JobCode.STEP_RETRIED, EventType.WARNING, reason=error.reason)
                if loop.time() >= until:
                    raise
                log.info("step begins again", job_id=str(run.job_id), tries=tries, why=str(error))
                await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
                tries += 1
            else:
                return

    async def _held_through(self, run: Run, step: Step[Any]) -> None:
        while True:
            try:
                if not run.guest.was_seen_within(JUST_S):
                    await self._kind.locate(run)
                await step.work(run)
            except LeaseGoneError as error:
                await self._hold_again(error)
            else:
                return

    async def _watch(self) -> Interruption:
        """Wait for something outside the work that interrupts it."""
        ticket_ended = asyncio.create_task(self._until_ticket_ends())  # its own task: a PVE that hangs delays no cancel
        try:
            return await self._watch_beside(ticket_ended)
        finally:
            ticket_ended.cancel()
            await asyncio.wait([ticket_ended])

    async def _watch_beside(self, ticket_ended: asyncio.Task[None]) -> Interruption:
        known: Job | Standing = self._job
        while True:
            if self._lease.lost.is_set():
                return Interruption.LEASE_LOST
            if known.state == JobState.CANCELLING.value and not self._completing:
                return Interruption.CANCEL
            if ticket.has_ended(known):
                return Interruption.SIGN_IN
            if ticket_ended.done():
                ticket_ended.result()
                return Interruption.SIGN_IN
            known = await self._look(known)
            if JobState(known.state) in FINISHED:
                # The job has ended, so its ticket and lease are gone. Only its last events are still being sent.
                await asyncio.Event().wait()

    async def _until_ticket_ends(self) -> None:
        while True:
            await asyncio.sleep(self._rt.timing.check_ticket_every_s)
            if self._run is not None and not await _keep_ticket(self._run):
                return

    async def _look(self, known: Job | Standing) -> Job | Standing:
        try:
            return await self._rt.standings.next(self._job.id)
        except ServiceUnavailableError as error:
            log.warning("job not looked at", job_id=str(self._job.id), why=str(error))
            return known

    async def _interrupted(self, why: Interruption) -> None:
        log.info("job interrupted", job_id=str(self._job.id), why=why.value)
        if why is Interruption.LEASE_LOST:
            raise LeaseLostError
        if why is Interruption.SIGN_IN:
            await self._wait_for_sign_in()
            return
        await self._cancel()

    async def _cancel(self) -> None:
        try:
            self._run = self._run or await self._open()
            left = await self._kind.stop(self._run)
        except DashboardError as error:
            log.warning("cancelled without PVE", job_id=str(self._job.id), why=str(error))
            left = self._kind.stop_without_pve(self._recorder, error)
        async with self._rt.db.transaction() as tx:
            job = await tx.jobs.get(self._job.id)
        await Ending(self._kind, self._rt, job, self._recorder).cancelled(left)

    async def _failed(self, error: BaseException) -> None:
        if isinstance(error, LeaseLostError | LeaseGoneError):
            raise LeaseLostError from error
        if isinstance(error, SessionExpiredError):
            await self._wait_for_sign_in()
            return
        if isinstance(error, StandstillError):
            if error.state is not None:
                await ending.give_back(self._rt, self._job.id, self._lease.owner, error.state)
            return
        if not isinstance(error, DashboardError):
            log.error("job broke", job_id=str(self._job.id), exc_info=error)
        error, remains = await self._kind.explain(self._run, self._recorder, error)
        await self._ending.failed(error, remains=remains)

    async def _wait_for_sign_in(self) -> None:
        async with self._rt.db.transaction() as tx:
            tokenid = await ticket.tokenid_of(tx, self._job.id)
        if tokenid:
            ended = ticket.token_ended(self._job, tokenid)
            _, remains = await self._kind.explain(None, self._recorder, ended)
            await self._ending.failed(ended, remains=remains)
            return
        self._recorder.tell(JobCode.SIGN_IN_ENDED, EventType.WARNING)
        await self._recorder.flush()
        await ending.wait_for_sign_in(self._rt, self._job, self._lease.owner)

    async def _give_back(self) -> None:
        """Release the job for the next worker. What runs in PVE and the guest goes on."""
        try:
            async with asyncio.timeout(GIVE_BACK_WITHIN_S), self._rt.db.transaction() as tx:
                await tx.leases.release(self._job.id, self._lease.owner)
        except (ServiceUnavailableError, TimeoutError) as error:
            log.warning("job not given back", job_id=str(self._job.id), why=str(error))


async def _say(run: Run, code: EventCode) -> None:
    run.tell(code)


async def _keep_ticket(run: Run) -> bool:
    """Renew the ticket if it is due, as any request does. False if PVE refuses it."""
    try:
        await run.client.version()
    except SessionExpiredError:
        return False
    except DashboardError as error:
        log.info("ticket not kept alive", job_id=str(run.job_id), why=str(error))
    return True
