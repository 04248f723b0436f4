"""Jobs: the row, its secrets, its checkpoint and its end. Batches of jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Select, Uuid, and_, bindparam, case, func, outerjoin, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.crypto import Keyring, SealedColumn
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import DOWNLOAD_KIND, Container, CreationBatch, Job, JobState
from lxc_dashboard.db.models.base import storable
from lxc_dashboard.db.models.jobs import SEALED_AS
from lxc_dashboard.db.repositories.leases import (
    LEASE,
    TAKEABLE,
    UNFINISHED,
    database_now,
    is_cancelling,
    is_creation,
    update_held,
    update_job,
)
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.messages import Message

FINISHED: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
FULL_PERCENT: Final = 100
GIVEN_UP: Final = "given_up"  # a key of ``error``
_STANDING_OF: Final = select(
    col(Job.id),
    col(Job.state),
    col(Job.ticket_enc),
    col(Job.signed_in_at),
).where(col(Job.id) == func.any(bindparam("job_ids", type_=ARRAY(Uuid))))


@dataclass(frozen=True, slots=True)
class Standing:
    """The columns of ``Job`` that others change while a worker holds the job."""

    state: str
    ticket_enc: str | None = field(repr=False)
    signed_in_at: datetime


@dataclass(frozen=True, slots=True)
class InUse:
    """A container's addresses, without prefix length. ``bridge`` is from its creation, empty where there is none."""

    container: Container
    addresses: frozenset[str]
    bridge: str = ""
    vlan: int | None = None


def _plain_addresses(*texts: str | None) -> frozenset[str]:
    return frozenset(text.partition("/")[0] for text in texts if text)


class JobRepository:
    """Methods with an ``owner`` raise ``LeaseGoneError`` and change nothing where ``owner`` holds no live lease."""

    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self._session = session
        self._secrets = SealedColumn(keyring, SEALED_AS, "secrets_enc")

    async def add(self, creation: Job, secrets: Mapping[str, Any] | None = None) -> Job:
        """Add a job that the caller enqueues next. Its age is by the database's clock.

        Raises ``NotFoundError`` where its container or endpoint is gone.
        """
        creation.secrets_enc = self._secrets.seal_json(secrets, creation.id)
        self._session.add(creation)
        await self._session.flush()
        stamped = await update_job(self._session, creation.id, created_at=database_now(), enqueued_at=database_now())
        return stamped or creation

    async def get(self, job_id: UUID) -> Job:
        """Read the job again, even if it was read before. Raises ``NotFoundError``."""
        creation = await self.find(job_id)
        if creation is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
        return creation

    async def find(self, job_id: UUID) -> Job | None:
        """Return as ``get``, None where there is no such job."""
        return await self._session.get(Job, job_id, populate_existing=True)

    async def locked(self, job_id: UUID) -> Job:
        """Return as ``get``, and lock the job until the transaction ends."""
        creation = await self._session.get(Job, job_id, populate_existing=True, with_for_update=True)
        if creation is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
        return creation

    async def standings(self, job_ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return the standings of existing jobs. Runs each second, so it does not read the long checkpoints."""
        connection = await self._session.connection()
        rows = await connection.execute(_STANDING_OF, {"job_ids": job_ids})
        return {row[0]: Standing(*row[1:]) for row in rows}

    async def list(
        self,
        endpoint_id: UUID,
        *,
        states: Collection[JobState] = (),
        userid: str | None = None,
        container_id: UUID | None = None,
        limit: int = 100,
    ) -> Sequence[Job]:
        """Return jobs, newest first. Empty ``states``: all states."""
        wanted = [col(Job.endpoint_id) == endpoint_id]
        if states:
            wanted.append(col(Job.state).in_([state.value for state in states]))
        if userid is not None:
            wanted.append(col(Job.userid) == userid)
        if container_id is not None:
            wanted.append(col(Job.container_id) == container_id)
        newest = select(Job).where(*wanted).order_by(col(Job.created_at).desc()).limit(limit)
        return (await self._session.scalars(newest)).all()

    async def unfinished_of(self, endpoint_id: UUID, userid: str, after: UUID, limit: int) -> Sequence[Job]:
        """Return a user's jobs that are neither ended nor paused, by id, and lock them until the transaction ends."""
        theirs = (
            col(Job.endpoint_id) == endpoint_id,
            col(Job.userid) == userid,
            col(Job.state).in_(TAKEABLE),
            col(Job.id) > after,
        )
        found = select(Job).where(*theirs).order_by(col(Job.id)).limit(limit).with_for_update()
        return (await self._session.scalars(found)).all()

    async def reserved_vmids(self, endpoint_id: UUID) -> frozenset[int]:
        """The vmids of existing containers. PVE may not know all of them yet."""
        existing = (col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None))
        return frozenset(await self._session.scalars(select(col(Container.vmid)).where(*existing)))

    async def lock_endpoint(self, endpoint_id: UUID) -> None:
        """Let only this transaction reserve vmids and addresses at the endpoint until it ends."""
        await self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(endpoint_id), 0))))

    async def addresses_in_use(self, endpoint_id: UUID) -> Sequence[InUse]:
        """Return for each existing container its address, and those that its creation plans unless it is done.

        Takes ``lock_endpoint``.
        """
        await self.lock_endpoint(endpoint_id)
        spec, promised = col(Job.params), col(Job.state) != JobState.DONE.value
        texts = [case((promised, spec[family]["address"].astext)) for family in ("ipv4", "ipv6")]
        existing = (col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None))
        joined = outerjoin(Container, Job, and_(col(Job.container_id) == col(Container.id), is_creation()))
        columns = (Container, spec["bridge"].astext, spec["vlan"].astext, *texts)
        rows = await self._session.execute(select(*columns).select_from(joined).where(*existing))
        return [
            InUse(container, _plain_addresses(container.address, *promises), bridge or "", int(vlan) if vlan else None)
            for container, bridge, vlan, *promises in rows
        ]

    async def finish(
        self,
        job_id: UUID,
        owner: str,
        state: JobState,
        *,
        error: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
        owes: bool = False,
    ) -> Job:
        """End the job and its lease, and wipe its ticket. Also wipes the secrets, unless it failed: a retry needs them.

        A job that ``owes`` and still has its ticket keeps both: see ``TicketRepository.claim_owing``.
        """
        if state not in FINISHED:
            raise ValueError(f"{state} is not an end")
        values: dict[str, Any] = {
            "state": state.value,
            "error": storable(dict(error or {})),
            "result": storable(dict(result or {})),
            "finished_at": database_now(),
        }
        if state is JobState.DONE:
            values["percent"] = FULL_PERCENT
        wiped: dict[str, Any] = dict.fromkeys((*LEASE, "enqueued_at"))
        if not owes:
            wiped["ticket_enc"] = None
        if owes:
            wiped["secrets_enc"] = case((col(Job.ticket_enc).is_(None), None), else_=col(Job.secrets_enc))
        elif state is not JobState.FAILED:
            wiped["secrets_enc"] = None
        return await update_held(self._session, job_id, owner, **values, **wiped)

    async def reopen(self, job_id: UUID, checkpoint: Mapping[str, Any]) -> Job:
        """Queue a failed job again from ``checkpoint``. Set its ticket in the same transaction.

        Raises ``NotFoundError``, ``ConflictError`` (it has not failed).
        """
        cleared: dict[str, Any] = {"error": {}, "cancelled_by": "", "finished_at": None}
        failed = col(Job.state) == JobState.FAILED.value
        creation = await update_job(self._session, job_id, failed, **_queued(checkpoint), **cleared)
        if creation is None:
            raise ConflictError(Message.of(DatabaseCode.JOB_NOT_FAILED, state=(await self.get(job_id)).state))
        return creation

    async def give_up(self, job_id: UUID) -> None:
        """Prevent a retry of a failed or cancelled job.

        Raises ``NotFoundError``, ``ConflictError`` (it is unfinished or done).
        """
        over = col(Job.state).in_([JobState.FAILED.value, JobState.CANCELLED.value])
        creation = await self.locked(job_id)
        if await update_job(self._session, job_id, over, error={**creation.error, GIVEN_UP: True}) is None:
            raise ConflictError(Message.of(DatabaseCode.JOB_NOT_REPLACEABLE, state=creation.state))

    async def go_on(self, job_id: UUID, checkpoint: Mapping[str, Any]) -> Job:
        """Queue a paused job again from ``checkpoint``. Set its ticket in the same transaction.

        Raises ``NotFoundError``, ``ConflictError`` (it is not paused).
        """
        paused = col(Job.state) == JobState.PAUSED.value
        creation = await update_job(self._session, job_id, paused, **_queued(checkpoint))
        if creation is None:
            raise ConflictError(Message.of(DatabaseCode.JOB_NOT_PAUSED, state=(await self.get(job_id)).state))
        return creation

    async def locking(self, endpoint_id: UUID, vmid: int) -> Job | None:
        """The unfinished job that locks the guest."""
        of_guest = (col(Job.endpoint_id) == endpoint_id, col(Job.vmid) == vmid, col(Job.locks_guest))
        unfinished = select(Job).where(*of_guest, col(Job.state).in_(UNFINISHED))
        return (await self._session.scalars(unfinished)).first()

    async def downloading(self, endpoint_id: UUID, node: str, volid: str) -> Job | None:
        """The unfinished download of the OS template to the node."""
        of_volume = (col(Job.node) == node, col(Job.name) == volid)
        return (await self._session.scalars(_downloads(endpoint_id).where(*of_volume))).first()

    async def newest_download(self, endpoint_id: UUID, userid: str) -> Job | None:
        """The newest of the user's unfinished downloads."""
        newest = _downloads(endpoint_id).where(col(Job.userid) == userid).order_by(col(Job.created_at).desc())
        return (await self._session.scalars(newest.limit(1))).first()

    async def set_vmid(self, job_id: UUID, vmid: int) -> None:
        """Set the guest's new vmid. Raises ``ConflictError`` where another job locks that guest."""
        await update_job(self._session, job_id, vmid=vmid)

    async def request_cancel(self, job_id: UUID, userid: str) -> Job:
        """Have a worker cancel the job. Stores the first user who asks.

        Raises ``NotFoundError``, ``ConflictError`` (it has ended).
        """
        asked = {
            "cancelled_by": case((is_cancelling(), col(Job.cancelled_by)), else_=userid),
            "state": JobState.CANCELLING.value,
        }
        creation = await update_job(self._session, job_id, col(Job.state).in_(UNFINISHED), **asked)
        if creation is None:
            raise ConflictError(Message.of(DatabaseCode.JOB_ENDED, state=(await self.get(job_id)).state))
        return creation

    async def set_secrets(self, job_id: UUID, secrets: Mapping[str, Any] | None) -> None:
        """Store passwords and other secrets as encrypted JSON. Raises ``NotFoundError``."""
        sealed = self._secrets.seal_json(None if secrets is None else dict(secrets), job_id)
        if await update_job(self._session, job_id, col(Job.state).in_(UNFINISHED), secrets_enc=sealed) is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE_OR_ENDED))

    async def seal_secrets(self, job_id: UUID, owner: str, secrets: Mapping[str, Any]) -> None:
        """``set_secrets`` for the worker that holds the job."""
        await update_held(self._session, job_id, owner, secrets_enc=self._secrets.seal_json(dict(secrets), job_id))

    async def wipe_stale_secrets(self, keep_s: float) -> int:
        """Wipe secrets of jobs that failed over ``keep_s`` seconds ago or whose container is gone. Returns how many."""
        gone = select(col(Container.id)).where(col(Container.deleted_at).is_not(None))
        old = col(Job.finished_at) < database_now() - func.make_interval(0, 0, 0, 0, 0, 0, keep_s)
        stale = (
            col(Job.state) == JobState.FAILED.value,
            col(Job.secrets_enc).is_not(None),
            old | col(Job.container_id).in_(gone),
        )
        wiped = update(Job).where(*stale).values(secrets_enc=None).returning(col(Job.id))
        rows = await self._session.scalars(wiped.execution_options(synchronize_session=False))
        return len(rows.all())

    async def get_secrets(self, job_id: UUID) -> dict[str, Any]:
        """Return the secrets, empty without any. Raises ``NotFoundError``, ``WrongKeyError``, ``TamperedError``."""
        token = (await self.get(job_id)).secrets_enc
        return dict(self._secrets.open_json(token, job_id) or {})


def _downloads(endpoint_id: UUID) -> Select[Job]:
    """Select the endpoint's unfinished downloads."""
    wanted = (col(Job.endpoint_id) == endpoint_id, col(Job.kind) == DOWNLOAD_KIND, col(Job.finished_at).is_(None))
    return select(Job).where(*wanted)


def _queued(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": JobState.QUEUED.value,
        "checkpoint": storable(dict(checkpoint)),
        "enqueued_at": database_now(),
    }


class BatchRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, batch: CreationBatch) -> CreationBatch:
        """Add the batch before its jobs. Raises ``ConflictError`` (it exists), ``NotFoundError`` (no such endpoint)."""
        self._session.add(batch)
        await self._session.flush()
        return batch

    async def get(self, batch_id: UUID) -> CreationBatch:
        """Return the batch. Raises ``NotFoundError``."""
        batch = await self._session.get(CreationBatch, batch_id)
        if batch is None:
            raise NotFoundError(Message.of(DatabaseCode.BATCH_GONE))
        return batch

    async def runs(self, batch_id: UUID) -> Sequence[tuple[Job, Container]]:
        """Return the batch's jobs and containers, in the order of their creation."""
        joined = select(Job, Container).join(Container, col(Container.id) == col(Job.container_id))
        rows = await self._session.execute(
            joined.where(col(Job.batch_id) == batch_id).order_by(col(Job.created_at)),
            execution_options={"populate_existing": True},
        )
        return [(creation, container) for creation, container in rows]
