"""Downloads of OS templates to a storage: a kind of job. Each file has at most one download on a node at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from lxc_dashboard.db.models import DOWNLOAD_KIND, AuditResult, EventType, Job, JobState, Phase, new_id
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import ConflictError, NotFoundError, PhaseFailedError, SessionExpiredError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.jobs.acts import Act, ActRun
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine.enqueue import enqueue
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, run_noted
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.events.follow import follow
from lxc_dashboard.services.jobs.kinds import register
from lxc_dashboard.services.jobs.request import request as request_job

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.engine.run import Run

STEP: Final = "create.download"
OWN: Final = "download_job"  # a checkpoint's fact: the download that the creation requested itself
DEADLINE_S: Final = 3600.0
LOOK_EVERY_S: Final = 0.5
NEEDS: Final = "Datastore.AllocateTemplate"
_PERCENT: Final = re.compile(r"(?<![\d.])(\d{1,3})%")


@dataclass(frozen=True, slots=True)
class Order:
    """``template``: the file's name in PVE's list of available OS templates."""

    node: str
    storage: str
    template: str

    @property
    def volid(self) -> str:
        return f"{self.storage}:vztmpl/{self.template}"

    def params(self) -> dict[str, str]:
        return {"storage": self.storage, "template": self.template}


class DownloadTemplate(msgspec.Struct, frozen=True):
    storage: str
    template: str


class Download(Act):
    """A job's ``node`` is the node that downloads; its ``name`` is the volid of the file."""

    locks_guest = False

    def path(self, guest: Guest, params: msgspec.Struct) -> str:
        del guest
        return f"/storage/{msgspec.to_builtins(params)['storage']}"

    async def locate(self, run: ActRun) -> None:
        """Do nothing: a download has no guest."""


async def _download(run: ActRun, params: DownloadTemplate) -> Message:
    """``POST /nodes/{node}/aplinfo``."""
    node, storage, template = run.guest.node, params.storage, params.template
    present = await run.client.storage.content(node, storage, "vztmpl")
    if STEP not in run.checkpoint.intent and any(volume.volid == run.guest.name for volume in present):
        return Message.of(CreationCode.OSTEMPLATE_PRESENT, ostemplate=template, storage=storage)
    nodes = run.client.nodes
    await run_noted(
        run,
        PveStep(
            STEP,
            "download",
            template,
            node,
            DEADLINE_S,
            lambda: nodes.download_appliance(node, storage, template),
            share,
        ),
    )
    return Message.of(CreationCode.OSTEMPLATE_DOWNLOADED, ostemplate=template, storage=storage)


DOWNLOAD: Final = Download(
    DOWNLOAD_KIND, begins=CreationCode.OSTEMPLATE_FETCHING, needs=(NEEDS,), params=DownloadTemplate, work=_download
)
register(DOWNLOAD)


async def request(rt: Runtime, session: Session, order: Order) -> UUID:
    """Queue the download, or find the one that is under way; return the job's id.

    Raises ``PrivilegeError``, ``ConflictError`` (another download waits for a sign-in, and this call cancels it), and
    PVE's errors.
    """
    try:
        return await request_job(rt, session, DOWNLOAD, Guest(0, order.node, name=order.volid), order.params())
    except ConflictError:
        async with rt.db.transaction() as tx:
            first = await tx.jobs.downloading(session.endpoint_id, order.node, order.volid)
            if first is None:  # it has ended since
                raise
            standing = first.state == JobState.WAITING.value
            if standing:
                await tx.jobs.request_cancel(first.id, session.authid)
        if standing:
            await enqueue(rt, first.id)
            raise
        return first.id


async def newest_of(rt: Runtime, session: Session) -> Job | None:
    """The newest download of the session's user that has not ended."""
    async with rt.db.transaction() as tx:
        return await tx.jobs.newest_download(session.endpoint_id, session.userid)


# ----------------------------------------------------------------------------- as a step of a creation


async def fetch(run: Run, order: Order) -> None:
    """Make sure that the storage has the file: request its download, or join the one that is under way.

    Cannot deadlock: a waiting creation works on the download itself if no other worker does.
    Raises ``PhaseFailedError``, ``SessionExpiredError``, and PVE's errors.
    """
    while not await _is_there(run, order):
        job_id = await _join(run, order)
        own = str(job_id) == run.checkpoint.facts[OWN]
        if not own:
            run.tell_once(f"{STEP}:waits", CreationCode.DOWNLOAD_AWAITED, ostemplate=order.template)
        ended = await _retold(run, job_id) if own else await work_off(run.rt, job_id)
        if own and ended.state != JobState.DONE:
            run.checkpoint.facts.pop(OWN)  # a retry requests another download
            run.checkpoint.failed = STEP
            raise PhaseFailedError(Phase.CREATING.value, _cause(ended), step="download")
        if own:
            return


def _cause(download: Job) -> Message:
    if download.error:
        return Message.from_json(download.error)
    cancelled = download.state == JobState.CANCELLED
    return Message.of(FailureCode.DOWNLOAD_CANCELLED if cancelled else FailureCode.DOWNLOAD_BROKE, volume=download.name)


async def stop(run: Run) -> None:
    """Cancel the download that the creation requested itself. Other creations that wait for it request another one."""
    own = run.checkpoint.facts.get(OWN)
    if own is None:
        return
    async with run.rt.db.transaction() as tx:
        try:
            await tx.jobs.request_cancel(UUID(own), run.userid)
        except (NotFoundError, ConflictError):
            return  # was never stored, or has ended
    await work_off(run.rt, UUID(own))


async def work_off(rt: Runtime, job_id: UUID) -> Job:
    """Work on the job, or wait while another worker does; return the ended job."""
    while True:
        await engine.run(rt, job_id)
        async with rt.db.transaction() as tx:
            job = await tx.jobs.get(job_id)
        if JobState(job.state) in FINISHED:
            return job
        await asyncio.sleep(LOOK_EVERY_S)


async def _retold(run: Run, job_id: UUID) -> Job:
    """As ``work_off``, and copy the download's log and percentage into the creation."""
    working = asyncio.create_task(work_off(run.rt, job_id))
    try:
        async for batch in follow(run.rt, job_id, run.checkpoint.lines.get(STEP, 0)):
            for event in batch:
                run.reach(0.05 + 0.25 * event.percent / 100)
                run.checkpoint.lines[STEP] = event.last
                if event.type is EventType.LOG:
                    await run.recorder.log(event.message.split("\n"))
        return await working
    finally:
        working.cancel()
        await asyncio.wait([working])


async def _is_there(run: Run, order: Order) -> bool:
    present = await run.client.storage.content(order.node, order.storage, "vztmpl")
    return any(volume.volid == order.volid for volume in present)


async def _join(run: Run, order: Order) -> UUID:
    """Return the id of the download that is under way. If there is none, store the creation's own."""
    facts = run.checkpoint.facts
    if OWN not in facts:
        facts[OWN] = str(new_id())
        run.checkpoint.lines.pop(STEP, None)
        await run.recorder.flush()
    while True:
        try:
            async with run.rt.db.transaction() as tx:
                await _store(tx, run, order, UUID(facts[OWN]))
        except ConflictError:
            async with run.rt.db.transaction() as tx:
                first = await tx.jobs.downloading(run.endpoint_id, order.node, order.volid)
                if first is not None and first.state == JobState.WAITING:
                    await tx.jobs.request_cancel(first.id, run.userid)  # it waits for a sign-in and would block others
            if first is not None:
                return first.id
        else:
            return UUID(facts[OWN])


async def _store(tx: Transaction, run: Run, order: Order, job_id: UUID) -> None:
    """Store the download with the creation's own copy of its user's ticket.

    Raises ``ConflictError`` if another download is under way, ``SessionExpiredError`` if the creation has no ticket.
    """
    creation = await tx.jobs.get(run.job_id)
    if creation.session_id is None:
        raise SessionExpiredError
    await tx.tickets.lock_session(creation.session_id, shared=True)
    held = await tx.tickets.get(run.job_id)
    if held is None:
        raise SessionExpiredError
    if await tx.jobs.find(job_id) is not None:
        return
    job = Job(
        id=job_id,
        kind=DOWNLOAD_KIND,
        endpoint_id=run.endpoint_id,
        vmid=0,
        node=order.node,
        name=order.volid,
        locks_guest=False,
        userid=run.userid,
        params=order.params(),
        signed_in_at=creation.signed_in_at,
        session_id=creation.session_id,
    )
    await tx.jobs.add(job)
    await tx.tickets.set(job_id, held, session_id=creation.session_id, signed_in_at=creation.signed_in_at)
    await tx.audit.append(
        userid=run.userid,
        endpoint_name=run.endpoint_name,
        action=DOWNLOAD_KIND,
        subject=job.subject,
        result=AuditResult.OK,
        detail={"node": order.node, "job": str(job_id), "creation": str(run.job_id)},
    )


def share(lines: Sequence[str]) -> float:
    """The progress in a download's log lines, from 0 to 1; 0 if they contain none."""
    found = [int(match) for line in lines for match in _PERCENT.findall(line)]
    return max((percent / 100 for percent in found if percent <= 100), default=0.0)  # noqa: PLR2004 - percent
