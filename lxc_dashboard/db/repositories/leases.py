"""Who may work on a run: leases by the database's clock, and the fence that keeps a former owner out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import CREATE_KIND, Job, JobState
from lxc_dashboard.errors import LeaseGoneError

# What a worker may take; a paused run is nobody's until its user lets it go on.
TAKEABLE: Final = (JobState.QUEUED.value, JobState.RUNNING.value, JobState.WAITING.value, JobState.CANCELLING.value)
UNFINISHED: Final = (*TAKEABLE, JobState.PAUSED.value)
UNDER_WAY: Final = (JobState.RUNNING.value, JobState.CANCELLING.value)
_WORKED_OFF: Final = (JobState.QUEUED.value, *UNDER_WAY)
LEASE: Final = ("lease_owner", "lease_until", "slot_node")


def database_now() -> ColumnElement[datetime]:
    """The database's own clock at this very row: workers' clocks differ, and a transaction may have waited for a lock."""
    return func.clock_timestamp()


def is_creation() -> ColumnElement[bool]:
    """Whether the job makes a container."""
    return col(Job.kind) == CREATE_KIND


def in_seconds(seconds: float) -> ColumnElement[datetime]:
    # years, months, weeks, days, hours, minutes, seconds: PostgreSQL's own order
    return database_now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def unless_cancelling(state: JobState) -> ColumnElement[str]:
    """``state``, but a job that is being cancelled stays so until it ends."""
    return case((is_cancelling(), JobState.CANCELLING.value), else_=state.value)


def is_cancelling() -> ColumnElement[bool]:
    return col(Job.state) == JobState.CANCELLING.value


def lease_is_over() -> ColumnElement[bool]:
    until = col(Job.lease_until)
    return until.is_(None) | (until <= database_now())


def is_in_line() -> ColumnElement[bool]:
    """Whether the run waits until its node has room for it."""
    queued = col(Job.state) == JobState.QUEUED.value
    return queued & col(Job.slot_node).is_not(None) & col(Job.lease_owner).is_(None)


def is_held_by(owner: str) -> tuple[ColumnElement[bool], ...]:
    """The fence's conditions."""
    return (
        col(Job.lease_owner) == owner,
        col(Job.lease_until) > database_now(),
        col(Job.state).in_(TAKEABLE),
    )


def lease_gone(job_id: UUID, owner: str) -> LeaseGoneError:
    return LeaseGoneError(detail=f"{job_id} {owner}")


def _of(kinds: Collection[str] | None) -> tuple[ColumnElement[bool], ...]:
    return () if kinds is None else (col(Job.kind).in_(kinds),)


class LeaseRepository:
    """The part of ``JobRepository`` that says who works on a run.

    ``owner`` names one attempt of one worker, never used again (a worker's id and a random part): a run delivered twice
    to one worker is held once.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def acquire_lease(
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
        return await self._update(job_id, *free, **taken)

    async def renew_lease(self, job_id: UUID, owner: str, lease_s: float) -> bool:
        """Prolongs the lease to ``lease_s`` seconds from now; False where it was taken away.

        A late renewal succeeds as long as nobody else took the run: a worker outlives a short absence of the database.
        """
        still_mine = (col(Job.lease_owner) == owner, col(Job.state).in_(TAKEABLE))
        renewed = update(Job).where(col(Job.id) == job_id, *still_mine).values(lease_until=in_seconds(lease_s))
        unread = {"synchronize_session": False}
        return await self._session.scalar(renewed.returning(col(Job.id)), execution_options=unread) is not None

    async def release_lease(self, job_id: UUID, owner: str, *, state: JobState = JobState.QUEUED) -> bool:
        """Gives the run back, ``queued`` (the reaper hands it out at once), ``waiting`` or ``paused``; False where it was not held.

        A job that is being cancelled stays ``cancelling``. A paused job keeps no ticket: the user who continues it brings one.
        """
        if state not in {JobState.QUEUED, JobState.WAITING, JobState.PAUSED}:
            raise ValueError(f"a run is given back queued, waiting or paused, not {state}")
        free: dict[str, Any] = {**dict.fromkeys(LEASE), "state": unless_cancelling(state)}
        if state is JobState.PAUSED:
            free["ticket_enc"] = case((is_cancelling(), col(Job.ticket_enc)), else_=None)
        return await self._update(job_id, col(Job.lease_owner) == owner, **free) is not None

    async def expired(self, limit: int, *, kinds: Collection[str] | None = None, again_after_s: float) -> Sequence[Job]:
        """Jobs to hand to the queue again: their worker is gone, or their delivery was lost. Not those that wait for a slot.

        Each is handed out once in ``again_after_s`` seconds, however many reapers ask; oldest first.
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
            .cte("due")  # PostgreSQL may run a mere subquery again for each row, past its limit
        )
        stamped = update(Job).where(col(Job.id).in_(select(due.c.id))).returning(Job)
        rows = await self._session.scalars(
            stamped.values(enqueued_at=database_now()), execution_options={"populate_existing": True}
        )
        return sorted(rows, key=lambda creation: creation.created_at)

    async def kinds_under_way(self) -> frozenset[str]:
        """The kinds of the jobs that wait for a worker, or are with one."""
        found = select(col(Job.kind)).where(col(Job.state).in_(_WORKED_OFF)).distinct()
        return frozenset(await self._session.scalars(found))

    async def _update(self, job_id: UUID, *conditions: ColumnElement[bool], **values: Any) -> Job | None:
        changed = update(Job).where(col(Job.id) == job_id, *conditions).values(**values)
        return await self._session.scalar(
            changed.returning(Job), execution_options={"populate_existing": True, "synchronize_session": False}
        )

    async def _update_held(self, job_id: UUID, owner: str, **values: Any) -> Job:
        """The fence: changes the run only while ``owner`` holds a live lease. Raises ``LeaseGoneError``."""
        creation = await self._update(job_id, *is_held_by(owner), **values)
        if creation is None:
            raise lease_gone(job_id, owner)
        return creation
