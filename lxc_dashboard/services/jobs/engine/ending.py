"""The lease of a job, renewed in the background while a worker holds it, and the one transaction that ends the job.

That transaction stores the last events, the data of the job's kind, the audit entry and the row itself.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

import structlog

from lxc_dashboard.db.models import AuditResult, EventType, Job, JobState
from lxc_dashboard.db.repositories.events import StoredEvent
from lxc_dashboard.db.repositories.jobs import FULL_PERCENT
from lxc_dashboard.errors import ConflictError, DashboardError, PrivilegeError, ServiceUnavailableError, TaskFailedError
from lxc_dashboard.services.jobs.codes import JobCode, Message
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError, Recorder
from lxc_dashboard.services.jobs.engine.run import Run
from lxc_dashboard.services.jobs.kinds import End, Kind, Left

if TYPE_CHECKING:
    from types import TracebackType

    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime


log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 0.5


def new_owner() -> str:
    """A name for one attempt of one worker, never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(6)}"


class Lease:
    """A held lease, renewed until the context ends. While PostgreSQL is away, no other worker can take it either."""

    def __init__(self, rt: Runtime, job_id: UUID, owner: str) -> None:
        self._rt = rt
        self._id = job_id
        self.owner = owner
        self.lost = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._rt.timing.renew_lease_every_s)
            if not await self.renew():
                log.warning("lease lost", job_id=str(self._id), owner=self.owner)
                self.lost.set()
                return

    async def renew(self) -> bool:
        """Renew the lease once the database answers. False if it was taken away; an expired lease can be renewed."""
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    return await tx.leases.renew(self._id, self.owner, self._rt.timing.lease_s)
            except ServiceUnavailableError as error:
                log.warning("lease not renewed", job_id=str(self._id), why=str(error))
                await asyncio.sleep(AGAIN_AFTER_S)


class Ending:
    """Ends the job whose events ``recorder`` writes."""

    def __init__(self, kind: Kind[Any], rt: Runtime, job: Job, recorder: Recorder) -> None:
        self._kind = kind
        self._rt = rt
        self._job = job
        self._recorder = recorder

    async def complete(self, run: Run) -> None:
        """End a job whose steps are all done."""
        self._recorder.percent = FULL_PERCENT
        await self._end(self._kind.done(run), AuditResult.OK, run)

    async def failed(self, error: BaseException, *, remains: bool = True) -> None:
        """End the job as failed. ``remains``: PVE has the guest."""
        recorder = self._recorder
        told = describe(error, recorder.step, recorder.checkpoint.failed or recorder.checkpoint.active)
        reason = Message.from_json(told)
        message = Message.of(JobCode.FAILED, reason=reason) if isinstance(error, DashboardError) else reason
        detail = {"step": told["step"], "cause": reason.to_json()}
        end = End(JobState.FAILED, message, error=told, audit=detail, left=Left(remains))
        await self._end(end, AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED)

    async def cancelled(self, left: Left) -> None:
        """End the job as cancelled. The job must have been read after the cancel was requested."""
        by = self._job.cancelled_by or self._job.userid
        message = self._kind.cancelled(by, self._recorder, left)
        error = {**message.to_json(), "phase": self._recorder.step, "step": "", "remains": left.remains}
        end = End(JobState.CANCELLED, message, error=error, audit={"by": by, "remains": left.remains}, left=left)
        await self._end(end, AuditResult.OK)

    async def _end(self, end: End, result: AuditResult, run: Run | None = None) -> None:
        await self._recorder.flush()
        kind = EventType.COMPLETE if end.state is JobState.DONE else EventType.ERROR
        self._recorder.tell_message(end.message, kind)
        await self._recorder.close()
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    rows = await self._write(tx, end, result, run)
            except ServiceUnavailableError as error:
                log.warning("end not written yet", job_id=str(self._job.id), state=end.state.value, why=str(error))
                await asyncio.sleep(AGAIN_AFTER_S)
            except ConflictError as error:
                # If only the answer was lost, the end is stored already.
                if not await self._stands(end.state):
                    raise LeaseLostError from error
                return
            else:
                await self._recorder.pass_on(rows)
                return

    async def _write(self, tx: Transaction, end: End, result: AuditResult, run: Run | None) -> Sequence[StoredEvent]:
        recorder = self._recorder
        rows = await recorder.append_rest(tx)
        finished = await tx.jobs.finish(
            self._job.id, recorder.owner, end.state, error=end.error, result=end.result, owes=end.left.owes
        )
        await self._kind.record(tx, finished, end, run, recorder)
        await audit(tx, finished, f"{self._kind.action}.{end.state.value}", result, end.audit)
        return rows

    async def _stands(self, state: JobState) -> bool:
        async with self._rt.db.transaction() as tx:
            return (await tx.jobs.get(self._job.id)).state == state.value


async def give_back(rt: Runtime, job_id: UUID, owner: str, state: JobState) -> None:
    """Release the job into ``state``. Any free worker may continue it later."""
    await _release(rt, job_id, lambda tx: tx.leases.release(job_id, owner, state=state))


async def wait_for_sign_in(rt: Runtime, job: Job, owner: str) -> None:
    """Release the job without a ticket until its user signs in, unless they have done so since."""
    await _release(rt, job.id, lambda tx: tx.tickets.wait_for_sign_in(job.id, owner, job.signed_in_at))


def describe(error: BaseException, step_name: str, step: str) -> dict[str, Any]:
    """The error for the page, without details for the log only: ``{"code", "params", "phase", "step", "tail"}``.

    A text from PVE or a guest is a ``message`` instead of ``code`` and ``params``.
    """
    reason = error.reason if isinstance(error, DashboardError) else Message.of(JobCode.BROKE)
    told = reason.to_json()
    if isinstance(error, TaskFailedError):
        told["tail"] = list(error.log_tail)[-20:]
    return {"tail": [], **told, "phase": str(step_name), "step": getattr(error, "step", "") or step}


async def audit(tx: Transaction, job: Job, action: str, result: AuditResult, detail: Mapping[str, Any]) -> None:
    """Add an audit entry for what the job did on its user's behalf."""
    endpoint = await tx.nodes.get(job.endpoint_id)
    await tx.audit.append(
        userid=job.userid,
        endpoint_name=endpoint.name,
        action=action,
        subject=job.subject,
        result=result,
        detail={"job": str(job.id), **detail},
    )


async def _release(rt: Runtime, job_id: UUID, give: Callable[[Transaction], Awaitable[bool]]) -> None:
    while True:
        try:
            async with rt.db.transaction() as tx:
                await give(tx)
        except ServiceUnavailableError as error:
            log.warning("job not released", job_id=str(job_id), why=str(error))
            await asyncio.sleep(AGAIN_AFTER_S)
        else:
            return
