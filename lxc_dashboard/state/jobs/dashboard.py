"""The dashboard's jobs: what runs, what waits for somebody, and what has failed of late."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import reflex as rx

from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.jobs.listing import Wanted
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.jobs.followed import FollowedJobs
from lxc_dashboard.state.jobs.rows import OPEN_STATES, row_of

SHOWN: Final = 8
FAILED_SINCE: Final = timedelta(hours=24)
_WANTED: Final = Wanted(states=(*(JobState(state) for state in sorted(OPEN_STATES)), JobState.FAILED))


class DashboardJobsState(FollowedJobs, rx.State):
    """The newest ``SHOWN`` of them."""

    @requires()
    async def load(self) -> None:
        """As they stand now."""
        async with self._filling():
            await self._read()

    async def _read(self) -> None:
        await self._remember()
        found = await listing.page_of(runtime(), session(), _WANTED, limit=SHOWN)
        if found.own_only != self.own_only:
            self.own_only = found.own_only
        at = now()
        late = at - FAILED_SINCE
        self._put([row_of(job, at) for job in found.jobs if job.finished_at is None or job.finished_at > late])
        self._show(empty=not self.rows)
