"""Jobs as the feed of a user lets him see them: nothing is asked of PVE, so any page may look often.

A container of ours that the feed shows carries its latest job. That, and whatever is one's own, is what one may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import JobState, Lifecycle
from lxc_dashboard.db.repositories.job_lists import Viewer, Wanted
from lxc_dashboard.services.creation.views import JobView, job_view
from lxc_dashboard.services.jobs.ticket import owns

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.monitor.rows import Row

RUNNING_AT_MOST: Final = 200
NAMED_AT_MOST: Final = 200


async def running(rt: Runtime, session: Session, rows: Mapping[int, Row]) -> tuple[JobView, ...]:
    """The jobs that a worker works on now, newest first."""
    unfinished = [row.job for row in rows.values() if row.job and row.lifecycle != Lifecycle.READY]
    return await _listed(rt, session, unfinished, Wanted((JobState.RUNNING, JobState.CANCELLING)), RUNNING_AT_MOST)


async def named(
    rt: Runtime, session: Session, rows: Mapping[int, Row], hostname: str, limit: int
) -> tuple[JobView, ...]:
    """The newest ``limit`` jobs whose host name holds every word of ``hostname``."""
    words = hostname.lower().split()
    fitting = [row.job for row in rows.values() if row.job and all(word in row.name.lower() for word in words)]
    newest = sorted(fitting, reverse=True)[:NAMED_AT_MOST]
    return await _listed(rt, session, newest, Wanted(hostname=hostname), limit)


async def _listed(rt: Runtime, session: Session, runs: list[str], wanted: Wanted, limit: int) -> tuple[JobView, ...]:
    viewer = Viewer(
        session.endpoint_id,
        session.userid,
        session.id if session.tokenid else None,
        runs=frozenset(map(UUID, runs)),
    )
    async with rt.db.transaction() as tx:
        found = await tx.jobs.list_named(viewer, wanted, limit=limit)
    return tuple(
        job_view(creation, container, template, own=owns(session, creation)) for creation, container, template in found
    )
