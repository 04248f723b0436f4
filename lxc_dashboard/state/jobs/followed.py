"""A list of jobs that moves by itself, on whatever page it stands."""

from __future__ import annotations

import time
from uuid import UUID

from lxc_dashboard import text
from lxc_dashboard.db.models import now
from lxc_dashboard.services.jobs.pulse import pulse, pulse_of
from lxc_dashboard.state.base import runtime, session
from lxc_dashboard.state.ids import uuid_of
from lxc_dashboard.state.jobs.room import JobRoom
from lxc_dashboard.state.jobs.rows import JobRow, moved


class FollowedJobs(JobRoom, mixin=True):
    """``rows`` are what is shown; ``own_only``: PVE did not say what else there is. ``_read`` fills them."""

    rows: list[JobRow] = []
    own_only: bool = False
    _known: frozenset[UUID] = frozenset()

    async def _remember(self) -> None:
        """Before a reading: which jobs there are, so that a new one is noticed."""
        self._read_at = time.monotonic()
        self._known = frozenset(job.id for job in await pulse(runtime(), session().endpoint_id))

    async def _follow(self) -> None:
        """Rows from their pulse alone; where a job is new, or in another state than it was, all is read again, and now and then."""
        if await self._read_again():
            return
        endpoint_id = session().endpoint_id
        newest = frozenset(job.id for job in await pulse(runtime(), endpoint_id))
        shown = [uuid_of(row.id, text.NO_SUCH_JOB) for row in self.rows]
        there = {str(job.id): job for job in await pulse_of(runtime(), endpoint_id, shown)}
        if newest - self._known or any(there[row.id].state != row.state for row in self.rows if row.id in there):
            await self._read()
            return
        at = now()
        self._put([moved(row, there[row.id], at) if row.id in there else row for row in self.rows])

    def _put(self, rows: list[JobRow]) -> None:
        if rows != self.rows:
            self.rows = rows
