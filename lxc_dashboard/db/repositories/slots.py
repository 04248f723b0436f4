"""How many runs may load one node at once, across all workers: counted under a lock of the database, oldest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.db.repositories.leases import (
    LEASE,
    LeaseRepository,
    database_now,
    in_seconds,
    is_in_line,
    unless_cancelling,
)

_AGE: Final = (col(Job.created_at), col(Job.id))


@dataclass(frozen=True, slots=True)
class Place:
    """Of a queued run: ``ahead`` come before it, on ``node`` where it waits for room there, else for a worker."""

    ahead: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A run and who holds its lease."""

    id: UUID
    endpoint_id: UUID
    owner: str


class SlotRepository(LeaseRepository):
    """The part of ``JobRepository`` that says who may load a node. A slot is its run's while that one's lease is live."""

    async def take_slot(self, run: Held, node: str, limit: int, *, anyway: bool = False) -> int:
        """0: the run has its slot on ``node``. Else how many come before it there, and nothing was changed.

        ``anyway``: what the slot is for has begun already. Raises ``LeaseGoneError`` without the lease.
        """
        await self._lock(run.endpoint_id, node)
        mine = aliased(Job)
        older = is_in_line() & (tuple_(*_AGE) < tuple_(col(mine.created_at), col(mine.id)))
        before = (_is_live() & (col(Job.id) != run.id)) | older
        counted = select(func.count()).select_from(Job).join(mine, col(mine.id) == run.id)
        ahead = await self._session.scalar(counted.where(*_on(run.endpoint_id, node), before)) or 0
        if ahead >= limit and not anyway:
            return ahead
        await self._update_held(run.id, run.owner, slot_node=node)
        return 0

    async def wait_in_line(self, run: Held, node: str, limit: int) -> bool:
        """``take_slot``, but where others come before it the run is given back until it is woken. Whether it was."""
        if await self.take_slot(run, node, limit) == 0:
            return False
        freed = {**dict.fromkeys(LEASE), "slot_node": node, "enqueued_at": None}
        await self._update_held(run.id, run.owner, state=unless_cancelling(JobState.QUEUED), **freed)
        return True

    async def give_slot(self, run: Held, node: str, limit: int, *, again_after_s: float) -> Sequence[UUID]:
        """Those that ``node`` has room for then, as ``wake``. Raises ``LeaseGoneError`` without the lease."""
        await self._lock(run.endpoint_id, node)
        await self._update_held(run.id, run.owner, slot_node=None)
        return await self._due(run.endpoint_id, node, limit, again_after_s)

    async def wake(self, endpoint_id: UUID, node: str, limit: int, *, again_after_s: float) -> Sequence[UUID]:
        """The oldest runs that ``node`` has room for now, to be handed to the queue, each once in ``again_after_s``."""
        await self._lock(endpoint_id, node)
        return await self._due(endpoint_id, node, limit, again_after_s)

    async def _due(self, endpoint_id: UUID, node: str, limit: int, again_after_s: float) -> Sequence[UUID]:
        enqueued_at = col(Job.enqueued_at)
        was_woken = enqueued_at.is_not(None) & (enqueued_at > in_seconds(-again_after_s))
        busy = await self._count(endpoint_id, node, _is_live() | (is_in_line() & was_woken))
        if busy >= limit:
            return []
        due = select(col(Job.id)).where(*_on(endpoint_id, node), is_in_line(), ~was_woken)
        # One that somebody holds, such as a sign-in or its end, is woken by the next turn: who waits here for it may hold what
        # the other one waits for.
        oldest = due.order_by(*_AGE).limit(limit - busy).with_for_update(skip_locked=True, key_share=True)
        ids = (await self._session.scalars(oldest)).all()
        if ids:
            stamped = update(Job).where(col(Job.id).in_(ids)).values(enqueued_at=database_now())
            await self._session.execute(stamped, execution_options={"synchronize_session": False})
        return ids

    async def nodes_in_demand(self) -> Sequence[tuple[UUID, str]]:
        """Endpoint and node of all that runs wait for."""
        wanted = select(col(Job.endpoint_id), col(Job.slot_node)).where(is_in_line()).distinct()
        return [(row[0], row[1] or "") for row in await self._session.execute(wanted)]

    async def places(self, endpoint_id: UUID) -> Mapping[UUID, Place]:
        """Where each queued run of the endpoint stands; those that wait for a worker, among all endpoints'."""
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
        """Whoever counts on this node does so alone, to the end of the transaction."""
        key = func.hashtextextended(f"{endpoint_id}:{node}", 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def _count(self, endpoint_id: UUID, node: str, condition: ColumnElement[bool]) -> int:
        counted = select(func.count()).select_from(Job).where(*_on(endpoint_id, node), condition)
        return await self._session.scalar(counted) or 0


def _on(endpoint_id: UUID, node: str) -> tuple[ColumnElement[bool], ...]:
    return col(Job.endpoint_id) == endpoint_id, col(Job.slot_node) == node


def _is_live() -> ColumnElement[Any]:
    return col(Job.lease_until).is_not(None) & (col(Job.lease_until) > database_now())
