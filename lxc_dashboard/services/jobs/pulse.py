"""The states of an endpoint's jobs in one small query, which keeps a list up to date."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lxc_dashboard.db.models import JobState
from lxc_dashboard.db.repositories.leases import Place

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

NEWEST: Final = 200


@dataclass(frozen=True, slots=True)
class JobPulse:
    """The state of one job. ``place``: a queued job's place in the queue."""

    id: UUID
    kind: str
    state: JobState
    step: str
    percent: int
    started_at: datetime | None
    finished_at: datetime | None
    place: Place | None = None


async def pulse(rt: Runtime, endpoint_id: UUID) -> tuple[JobPulse, ...]:
    """The running jobs and the newest ones.

    Checks no privileges. Use it only for ids that the user was shown before, and to notice that any job changed.
    """
    async with rt.db.transaction() as tx:
        return _pulses(await tx.job_lists.pulse(endpoint_id, NEWEST), await tx.slots.places(endpoint_id))


async def pulse_of(rt: Runtime, endpoint_id: UUID, ids: Collection[UUID]) -> tuple[JobPulse, ...]:
    """``pulse`` of the jobs ``ids``."""
    async with rt.db.transaction() as tx:
        return _pulses(await tx.job_lists.pulse_of(endpoint_id, ids), await tx.slots.places(endpoint_id))


def _pulses(rows: Sequence[tuple[Any, ...]], places: Mapping[UUID, Place]) -> tuple[JobPulse, ...]:
    return tuple(
        JobPulse(id_, kind, JobState(state), step, percent, started, finished, places.get(id_))
        for id_, kind, state, step, percent, started, finished in rows
    )
