"""Leases: which worker works on a job, by the database's clock. Slots: which jobs may load a node.

``update_held`` is the fence: a former owner of a lease changes nothing. Slots are counted for all workers under a
database lock, oldest job first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from lxc_dashboard.db.models import CREATE_KIND, Job, JobState
from lxc_dashboard.errors import LeaseGoneError

# A worker may take jobs in these states. A paused job waits until its user continues it.
TAKEABLE: Final = (JobState.QUEUED.value, JobState.RUNNING.value, JobState.WAITING.value, JobState.CANCELLING.value)
UNFINISHED: Final = (*TAKEABLE, JobState.PAUSED.value)
UNDER_WAY: Final = (JobState.RUNNING.value, JobState.CANCELLING.value)
_WORKED_OFF: Final = (JobState.QUEUED.value, *UNDER_WAY)
LEASE: Final = ("lease_owner", "lease_until", "slot_node")


def database_now() -> ColumnElement[datetime]:
    """The database's present time: workers' clocks differ, and a transaction's start may be long ago."""
    return func.clock_timestamp()


def is_creation() -> ColumnElement[bool]:
    """Whether the job makes a container."""
    return col(Job.kind) == CREATE_KIND


def in_seconds(seconds: float) -> ColumnElement[datetime]:
    # PostgreSQL's order: years, months, weeks, days, hours, minutes, seconds
    return database_now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def unless_cancelling(state: JobState) -> ColumnElement[str]:
    """``state``, but a job that is being cancelled stays ``cancelling``."""
    return case((is_cancelling(), JobState.CANCELLING.value), else_=state.value)


def is_cancelling() -> ColumnElement[bool]:
    return col(Job.state) == JobState.CANCELLING.value


def lease_is_over() -> ColumnElement[bool]:
    until = col(Job.lease_until)
    return until.is_(None) | (until <= database_now())


def is_in_line() -> ColumnElement[bool]:
    """Whether the job waits for a slot of its node."""
    queued = col(Job.state) == JobState.QUEUED.value
    return queued & col(Job.slot_node).is_not(None) & col(Job.lease_owner).is_(None)


def is_held_by(owner: str) -> tuple[ColumnElement[bool], ...]:
    """The fence's conditions: ``owner`` holds a live lease, and the job is neither ended nor paused."""
    return (
        col(Job.lease_owner) == owner,
        col(Job.lease_until) > database_now(),
        col(Job.state).in_(TAKEABLE),
    )


def lease_gone(job_id: UUID, owner: str) -> LeaseGoneError:
    return LeaseGoneError(detail=f"{job_id} {owner}")


def _of(kinds: Collection[str] | None) -> tuple[ColumnElement[bool], ...]:
    return () if kinds is None else (col(Job.kind).in_(kinds),)


async def update_job(
    session: AsyncSession, job_id: UUID, *conditions: ColumnElement[bool], **values: Any
) -> Job | None:
    """Change and return the row. None where it does not exist, or a condition does not hold."""
    changed = update(Job).where(col(Job.id) == job_id, *conditions).values(**values)
    return await session.scalar(
        changed.returning(Job), execution_options={"populate_existing": True, "synchronize_session": False}
    )


async def update_held(session: AsyncSession, job_id: UUID, owner: str, **values: Any) -> Job:
    """The fence: change the row only while ``owner`` holds a live lease. Raises ``LeaseGoneError``."""
    job = await update_job(session, job_id, *is_held_by(owner), **values)
    if job is None:
        raise lease_gone(job_id, owner)
    return job


class LeaseRepository:
    """Which worker works on a job.

    ``owner`` is the worker's id with a random part, new for each attempt. So a job that one worker gets twice is held
    once.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def acquire(
        self, job_id: UUID, owner: str, lease_s: float, *, kinds: Collection[str] | None = None
    ) -> Job | None:
        """Take the job for ``lease_s`` seconds and set it ``running``, unless it is ``cancelling``.

        None where it is held, paused, finished, unknown, or not of these ``kinds``.
        """
        free = (col(Job.state).in_(TAKEABLE), lease_is_over(), *_of(kinds))
        taken = {
            "lease_owner": owner,
            "lease_until": in_seconds(lease_s),
            "attempt": col(Job.attempt) + 1,
            "state": unless_cancelling(JobState.RUNNING),
            "started_at": func.coalesce(col(Job.started_at), database_now()),
            "enqueued_at": None,
            "slot_node": None,
        }
        return await update_job(self._session, job_id, *free, **taken)

    async def renew(self, job_id: UUID, owner: str, lease_s: float) -> bool:
        """Prolong the lease to ``lease_s`` seconds from now. Returns False where it was taken away.

        A late renewal succeeds unless another worker has taken the job, so a short outage of the database does no harm.
        """
        still_mine = (col(Job.lease_owner) == owner, col(Job.state).in_(TAKEABLE))
        renewed = update(Job).where(col(Job.id) == job_id, *still_mine).values(lease_until=in_seconds(lease_s))
        unread = {"synchronize_session": False}
        return await self._session.scalar(renewed.returning(col(Job.id)), execution_options=unread) is not None

    async def release(self, job_id: UUID, owner: str, *, state: JobState = JobState.QUEUED) -> bool:
        """Release the job as ``queued``, ``waiting`` or ``paused``. Returns False where ``owner`` did not hold it.

        The reaper enqueues a queued job at once. A cancelling job stays ``cancelling``. A paused job keeps no ticket:
        the user who continues it brings one.
        """
        if state not in {JobState.QUEUED, JobState.WAITING, JobState.PAUSED}:
            raise ValueError(f"a run is given back queued, waiting or paused, not {state}")
        free: dict[str, Any] = {**dict.fromkeys(LEASE), "state": unless_cancelling(state)}
        if state is JobState.PAUSED:
            free["ticket_enc"] = case((is_cancelling(), col(Job.ticket_enc)), else_=None)
        return await update_job(self._session, job_id, col(Job.lease_owner) == owner, **free) is not None

    async def expired(self, limit: int, *, kinds: Collection[str] | None = None, again_after_s: float) -> Sequence[Job]:
        """Return jobs to enqueue again, oldest first: their worker is gone, or their message was lost.

        Leaves out jobs that wait for a slot. Returns each job once in ``again_after_s`` seconds, to one reaper.
        """
        patience = in_seconds(-again_after_s)
        enqueued_at = col(Job.enqueued_at)
        due = (
            select(col(Job.id))
            .where(
                col(Job.state).in_(_WORKED_OFF),
                lease_is_over(),
                enqueued_at.is_(None) | (enqueued_at <= patience),
                ~is_in_line(),
                *_of(kinds),
            )
            .order_by(col(Job.created_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")  # PostgreSQL may run a subquery again for each row, and so exceed its limit
        )
        stamped = update(Job).where(col(Job.id).in_(select(due.c.id))).returning(Job)
        rows = await self._session.scalars(
            stamped.values(enqueued_at=database_now()), execution_options={"populate_existing": True}
        )
        return sorted(rows, key=lambda creation: creation.created_at)

    async def kinds_under_way(self) -> frozenset[str]:
        """The kinds of all jobs that a worker holds or that wait for one."""
        found = select(col(Job.kind)).where(col(Job.state).in_(_WORKED_OFF)).distinct()
        return frozenset(await self._session.scalars(found))


_AGE: Final = (col(Job.created_at), col(Job.id))


@dataclass(frozen=True, slots=True)
class Place:
    """A queued job's place: ``ahead`` jobs come first. ``node``: where it waits for a slot; empty: for a worker."""

    ahead: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A job and the owner of its lease."""

    id: UUID
    endpoint_id: UUID
    owner: str


class SlotRepository:
    """Which jobs may load a node. A slot belongs to its job while that job's lease is live."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take(self, run: Held, node: str, limit: int, *, anyway: bool = False) -> int:
        """Take a slot on ``node`` and return 0. If none is free, change nothing and return how many jobs come first.

        ``anyway``: take it in any case, as the work has begun already. Raises ``LeaseGoneError`` without the lease.
        """
        await self._lock(run.endpoint_id, node)
        mine = aliased(Job)
        older = is_in_line() & (tuple_(*_AGE) < tuple_(col(mine.created_at), col(mine.id)))
        before = (_is_live() & (col(Job.id) != run.id)) | older
        counted = select(func.count()).select_from(Job).join(mine, col(mine.id) == run.id)
        ahead = await self._session.scalar(counted.where(*_on(run.endpoint_id, node), before)) or 0
        if ahead >= limit and not anyway:
            return ahead
        await update_held(self._session, run.id, run.owner, slot_node=node)
        return 0

    async def wait_in_line(self, run: Held, node: str, limit: int) -> bool:
        """``take`` a slot, or else release the job until it is woken. Returns whether it was released."""
        if await self.take(run, node, limit) == 0:
            return False
        freed = {**dict.fromkeys(LEASE), "slot_node": node, "enqueued_at": None}
        await update_held(self._session, run.id, run.owner, state=unless_cancelling(JobState.QUEUED), **freed)
        return True

    async def give(self, run: Held, node: str, limit: int, *, again_after_s: float) -> Sequence[UUID]:
        """Free the slot and return the jobs to enqueue, as ``wake``. Raises ``LeaseGoneError`` without the lease."""
        await self._lock(run.endpoint_id, node)
        await update_held(self._session, run.id, run.owner, slot_node=None)
        return await self._due(run.endpoint_id, node, limit, again_after_s)

    async def wake(self, endpoint_id: UUID, node: str, limit: int, *, again_after_s: float) -> Sequence[UUID]:
        """Return the oldest jobs that ``node`` has slots for, to enqueue. Returns each once in ``again_after_s``."""
        await self._lock(endpoint_id, node)
        return await self._due(endpoint_id, node, limit, again_after_s)

    async def _due(self, endpoint_id: UUID, node: str, limit: int, again_after_s: float) -> Sequence[UUID]:
        enqueued_at = col(Job.enqueued_at)
        was_woken = enqueued_at.is_not(None) & (enqueued_at > in_seconds(-again_after_s))
        busy = await self._count(endpoint_id, node, _is_live() | (is_in_line() & was_woken))
        if busy >= limit:
            return []
        due = select(col(Job.id)).where(*_on(endpoint_id, node), is_in_line(), ~was_woken)
        # Skips rows that another transaction locks, such as a sign-in: waiting for it could deadlock. The next call
        # returns those jobs.
        oldest = due.order_by(*_AGE).limit(limit - busy).with_for_update(skip_locked=True, key_share=True)
        ids = (await self._session.scalars(oldest)).all()
        if ids:
            stamped = update(Job).where(col(Job.id).in_(ids)).values(enqueued_at=database_now())
            await self._session.execute(stamped, execution_options={"synchronize_session": False})
        return ids

    async def nodes_in_demand(self) -> Sequence[tuple[UUID, str]]:
        """Endpoint and name of each node whose slots jobs wait for."""
        wanted = select(col(Job.endpoint_id), col(Job.slot_node)).where(is_in_line()).distinct()
        return [(row[0], row[1] or "") for row in await self._session.execute(wanted)]

    async def places(self, endpoint_id: UUID) -> Mapping[UUID, Place]:
        """The place of each queued job of the endpoint. Places for a worker count the jobs of all endpoints."""
        node, endpoint = col(Job.slot_node), col(Job.endpoint_id)
        queued = (col(Job.state) == JobState.QUEUED.value) & col(Job.lease_owner).is_(None)
        arrived = func.coalesce(col(Job.enqueued_at), col(Job.created_at))
        for_worker = func.row_number().over(order_by=(arrived, *_AGE))
        for_node = func.row_number().over(partition_by=(endpoint, node), order_by=_AGE)
        places: dict[UUID, Place] = {}
        for rank, in_line in ((for_worker, node.is_(None)), (for_node, node.is_not(None))):
            numbered = select(col(Job.id), endpoint, node, (rank - 1).label("ahead")).where(queued, in_line)
            found = numbered.subquery()
            rows = await self._session.execute(select(found).where(found.c.endpoint_id == endpoint_id))
            places |= {row.id: Place(row.ahead, row.slot_node or "") for row in rows}
        busy = await self._busy(endpoint_id)
        return {id_: Place(place.ahead + busy.get(place.node, 0), place.node) for id_, place in places.items()}

    async def _busy(self, endpoint_id: UUID) -> Mapping[str, int]:
        node = col(Job.slot_node)
        live = select(node, func.count()).where(col(Job.endpoint_id) == endpoint_id, _is_live(), node.is_not(None))
        return {row[0] or "": row[1] for row in await self._session.execute(live.group_by(node))}

    async def _lock(self, endpoint_id: UUID, node: str) -> None:
        """Let only this transaction count the node's slots until it ends."""
        key = func.hashtextextended(f"{endpoint_id}:{node}", 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def _count(self, endpoint_id: UUID, node: str, condition: ColumnElement[bool]) -> int:
        counted = select(func.count()).select_from(Job).where(*_on(endpoint_id, node), condition)
        return await self._session.scalar(counted) or 0


def _on(endpoint_id: UUID, node: str) -> tuple[ColumnElement[bool], ...]:
    return col(Job.endpoint_id) == endpoint_id, col(Job.slot_node) == node


def _is_live() -> ColumnElement[Any]:
    return col(Job.lease_until).is_not(None) & (col(Job.lease_until) > database_now())
