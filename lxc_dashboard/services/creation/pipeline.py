"""One run from its lease to its end. Whatever dies in between, the next worker goes on where this one stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import EventType, Job, JobState, Phase
from lxc_dashboard.db.repositories.jobs import FINISHED, Standing
from lxc_dashboard.db.repositories.tickets import SIGN_IN_ENDED
from lxc_dashboard.errors import (
    DashboardError,
    GuestGoneError,
    LeaseGoneError,
    PhaseFailedError,
    ServiceUnavailableError,
    SessionExpiredError,
)
from lxc_dashboard.services.creation import cancelling, ending, entrance, full_storage, liveness, ownership, slots
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.doors import NoWay
from lxc_dashboard.services.creation.moving import MovedError
from lxc_dashboard.services.creation.opening import open_context, plan
from lxc_dashboard.services.creation.phases import create, deploy, finalize, pause, start, sync
from lxc_dashboard.services.jobs import ticket
from lxc_dashboard.services.jobs.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.lease import LEASE_S, Lease, new_owner
from lxc_dashboard.services.jobs.recorder import LeaseLostError, Recorder

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

# So soon a run notices, in the middle of a long script, that PVE takes its ticket or token no more.
KEEP_TICKET_EVERY_S: Final = 60.0
# One phase begins where another has just ended: PVE need not be asked again where the guest is.
JUST_S: Final = 1.0
PATIENCE_S: Final = 180.0
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
GIVE_BACK_WITHIN_S: Final = 3.0
LOOK_WITHIN_S: Final = 5.0

PhaseRun = Callable[[RunContext], Awaitable[None]]
PHASES: Final[tuple[tuple[Phase, PhaseRun, str], ...]] = (
    (Phase.CREATING, create.run, "Creating the container"),
    (Phase.STARTING, start.run, "Starting the container"),
    (Phase.DEPLOYING, deploy.run, "Preparing the guest"),
    (Phase.SYNCING, sync.run, "Installing packages and running scripts"),
    (Phase.FINALIZING, finalize.run, "Finishing"),
)


class Interruption(StrEnum):
    """Why a run stops before its end."""

    LEASE_LOST = "lease lost"
    CANCEL = "cancel"
    SIGN_IN = "sign in"


async def run(rt: Runtime, job_id: UUID | str) -> None:
    """Work on the run until it ends, pauses, waits for a sign-in, or is another worker's. Leaves at once where it is held.

    Cancelled itself (the worker ends), it gives the run back; nothing that PVE or the guest does is stopped then.
    """
    known = UUID(str(job_id))
    owner = new_owner()
    async with rt.db.transaction() as tx:
        creation = await tx.jobs.acquire_lease(known, owner, LEASE_S)
    if creation is None:
        log.info("creation not taken", job_id=str(known))
        return
    log.info("creation taken", job_id=str(known), owner=owner, attempt=creation.attempt)
    async with Lease(rt, known, owner) as lease:
        await _Run(rt, creation, lease).execute()


class _Run:
    def __init__(self, rt: Runtime, creation: Job, lease: Lease) -> None:
        self._rt = rt
        self._creation = creation
        self._lease = lease
        self._ctx: RunContext | None = None
        self._completing = False
        checkpoint = Checkpoint.from_json(creation.checkpoint)
        self._recorder = Recorder(rt, creation.id, lease.owner, checkpoint, LEASE_S)

    async def execute(self) -> None:
        try:
            await self._recorder.start(Phase(self._creation.step), self._creation.percent)
            await self._until_end()
            if self._ctx is not None and self._ctx.holds_slot:
                await slots.wake(self._rt, self._creation.endpoint_id, self._ctx.guest.node)
        except LeaseLostError:
            log.warning("creation left to another worker", job_id=str(self._creation.id))
        except asyncio.CancelledError:
            await self._give_back()
            raise
        finally:
            await self._recorder.close()
            if self._ctx is not None and not isinstance(self._ctx.entrance, NoWay):
                await self._ctx.entrance.close()

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
                await self._through_phases()
            except MovedError:
                continue
            return

    async def _through_phases(self) -> None:
        ctx = self._ctx = await self._open()
        if "plan" not in ctx.checkpoint.facts:
            ctx.checkpoint.facts["plan"] = plan(ctx)
        for phase, run_phase, title in PHASES:
            if ctx.checkpoint.is_done(f"phase.{phase}"):
                continue
            if phase is Phase.STARTING:
                await pause.run(ctx)
            self._recorder.phase = phase
            ctx.reach(0)
            await ctx.once(f"begin.{phase}", lambda title=title: _say(ctx, title), fenced=True)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            await self._patiently(ctx, run_phase)
            ctx.checkpoint.mark_done(f"phase.{phase}")
        self._completing = True
        await ending.complete(ctx)

    async def _open(self) -> RunContext:
        """``open_context``, again until the database answers: a failure could not be written either."""
        while True:
            try:
                return await open_context(self._rt, self._creation, self._recorder, self._lease.owner)
            except LeaseGoneError as error:
                await self._hold_again(error)
            except ServiceUnavailableError as error:
                log.warning("creation not opened yet", job_id=str(self._creation.id), why=str(error))
                await asyncio.sleep(ending.AGAIN_AFTER_S)

    async def _hold_again(self, error: LeaseGoneError) -> None:
        """The lease may only have run out while the database was away: where nobody else has it, it is ours again."""
        if not await self._lease.renew():
            raise LeaseLostError from error

    async def _patiently(self, ctx: RunContext, run_phase: PhaseRun) -> None:
        """A phase may be begun again at any time: what did not answer is tried again from the last checkpoint."""
        loop = asyncio.get_running_loop()
        tries, until, reached = 0, 0.0, ctx.checkpoint.to_json()
        while True:
            try:
                await self._held_through(ctx, run_phase)
            except DashboardError as error:
                if not error.retryable:
                    raise
                ctx.guest.lost()
                await liveness.refuse_stopped(ctx, error)
                if tries == 0 or ctx.checkpoint.to_json() != reached:
                    tries, until, reached = 0, loop.time() + PATIENCE_S, ctx.checkpoint.to_json()
                    ctx.tell(f"{error.user_message}: trying again", EventType.WARNING)
                if loop.time() >= until:
                    raise
                log.info("phase begins again", job_id=str(ctx.job_id), tries=tries, why=str(error))
                await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
                tries += 1
            else:
                return

    async def _held_through(self, ctx: RunContext, run_phase: PhaseRun) -> None:
        while True:
            try:
                if ctx.checkpoint.is_done(create.CREATE) and not ctx.guest.was_seen_within(JUST_S):
                    await entrance.follow(ctx.rt, ctx.client, ctx.guest)
                await run_phase(ctx)
            except LeaseGoneError as error:
                await self._hold_again(error)
            else:
                return

    async def _watch(self) -> Interruption:
        """What ends the work from outside."""
        ticket_ended = asyncio.create_task(self._until_ticket_ends())  # beside: a PVE that hangs holds up no cancel
        try:
            return await self._watch_beside(ticket_ended)
        finally:
            ticket_ended.cancel()
            await asyncio.wait([ticket_ended])

    async def _watch_beside(self, ticket_ended: asyncio.Task[None]) -> Interruption:
        known: Job | Standing = self._creation
        while True:
            if self._lease.lost.is_set():
                return Interruption.LEASE_LOST
            if known.cancel_requested_at is not None and not self._completing:
                return Interruption.CANCEL
            if ticket.has_ended(known):
                return Interruption.SIGN_IN
            if ticket_ended.done():
                ticket_ended.result()
                return Interruption.SIGN_IN
            known = await self._look(known)
            if JobState(known.state) in FINISHED:
                # Its ticket and lease are gone because it has ended: only its last words are still on their way.
                await asyncio.Event().wait()

    async def _until_ticket_ends(self) -> None:
        while True:
            await asyncio.sleep(KEEP_TICKET_EVERY_S)
            if self._ctx is not None and not await _keep_ticket(self._ctx):
                return

    async def _look(self, known: Job | Standing) -> Job | Standing:
        try:
            return await self._rt.standings.next(self._creation.id)
        except ServiceUnavailableError as error:
            log.warning("creation not looked at", job_id=str(self._creation.id), why=str(error))
            return known

    async def _interrupted(self, why: Interruption) -> None:
        log.info("creation interrupted", job_id=str(self._creation.id), why=why.value)
        if why is Interruption.LEASE_LOST:
            raise LeaseLostError
        if why is Interruption.SIGN_IN:
            await self._wait_for_sign_in()
            return
        await self._cancel()

    async def _cancel(self) -> None:
        try:
            ctx = self._ctx = self._ctx or await self._open()
            left = await cancelling.stop(ctx)
        except DashboardError as error:
            log.warning("cancelled without PVE", job_id=str(self._creation.id), why=str(error))
            left = cancelling.stop_without_pve(self._recorder, error)
        async with self._rt.db.transaction() as tx:
            creation = await tx.jobs.get(self._creation.id)
        await ending.cancelled(
            self._rt, creation, self._recorder, self._lease.owner, remains=left.remains, owes=left.owes
        )

    async def _failed(self, error: BaseException) -> None:
        if isinstance(error, LeaseLostError | LeaseGoneError):
            raise LeaseLostError from error
        if isinstance(error, SessionExpiredError):
            await self._wait_for_sign_in()
            return
        if isinstance(error, slots.InLineError):
            return
        if isinstance(error, pause.PausedError):
            await ending.pause(self._rt, self._creation.id, self._lease.owner)
            return
        if self._ctx is not None and isinstance(error, PhaseFailedError):
            error = await full_storage.named(self._ctx, error)
        if not isinstance(error, DashboardError):
            log.error("creation broke", job_id=str(self._creation.id), exc_info=error)
        remains = await self._remains(error)
        if self._ctx is not None and not remains and self._recorder.checkpoint.is_done(create.CREATE):
            log.info("container deleted in PVE", job_id=str(self._creation.id), why=str(error))
            error = await ownership.deleted(self._ctx)
        await ending.failed(self._rt, self._creation, self._recorder, self._lease.owner, error, remains=remains)

    async def _remains(self, error: BaseException) -> bool:
        """Whether PVE has a container of the run; True as well where PVE does not say."""
        if isinstance(error, GuestGoneError):
            return False
        if self._ctx is None:
            return ownership.may_be_made(self._recorder.checkpoint)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                return await ownership.remains(self._ctx)
        except (DashboardError, TimeoutError) as fault:
            log.warning("container not looked for", job_id=str(self._creation.id), why=str(fault))
            return True

    async def _wait_for_sign_in(self) -> None:
        async with self._rt.db.transaction() as tx:
            tokenid = await ticket.tokenid_of(tx, self._creation.id)
        if tokenid:
            ended = ticket.token_ended(self._creation, tokenid)
            remains = ownership.may_be_made(self._recorder.checkpoint)
            await ending.failed(self._rt, self._creation, self._recorder, self._lease.owner, ended, remains=remains)
            return
        self._recorder.tell(SIGN_IN_ENDED, EventType.WARNING)
        await self._recorder.flush()
        await ending.wait_for_sign_in(self._rt, self._creation, self._lease.owner)

    async def _give_back(self) -> None:
        """For the next worker to take at once; what PVE and the guest do goes on."""
        try:
            async with asyncio.timeout(GIVE_BACK_WITHIN_S), self._rt.db.transaction() as tx:
                await tx.jobs.release_lease(self._creation.id, self._lease.owner)
        except (ServiceUnavailableError, TimeoutError) as error:
            log.warning("creation not given back", job_id=str(self._creation.id), why=str(error))


async def _say(ctx: RunContext, title: str) -> None:
    ctx.tell(title)


async def _keep_ticket(ctx: RunContext) -> bool:
    """Any request renews a ticket that is due. False where PVE takes it no more."""
    try:
        await ctx.client.version()
    except SessionExpiredError:
        return False
    except DashboardError as error:
        log.info("ticket not kept alive", job_id=str(ctx.job_id), why=str(error))
    return True
