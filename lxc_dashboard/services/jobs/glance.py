"""Jobs as a user's feed shows them: PVE is asked nothing, so any page may look often.

A container of ours carries its latest creation in the feed. A guest that the product does not know is known by its vmid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from lxc_dashboard.db.models import JobState
from lxc_dashboard.db.repositories.job_lists import Viewer, Wanted
from lxc_dashboard.services.jobs.listing import views_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.views import JobView


class FeedRow(Protocol):
    """A guest as the live list has it. ``job``: the id of the creation that made it, or empty."""

    @property
    def job(self) -> str: ...


Rows = Mapping[int, FeedRow]

RUNNING_AT_MOST: Final = 200


async def running(rt: Runtime, session: Session, rows: Rows) -> tuple[JobView, ...]:
    """The jobs that a worker works on now, newest first. ``rows``: those of the feed."""
    return await _listed(rt, session, rows, Wanted((JobState.RUNNING, JobState.CANCELLING)), RUNNING_AT_MOST)


async def named(rt: Runtime, session: Session, rows: Rows, name: str, limit: int) -> tuple[JobView, ...]:
    """The newest ``limit`` jobs whose guest's name holds every word of ``name``."""
    return await _listed(rt, session, rows, Wanted(name=name), limit)


async def _listed(rt: Runtime, session: Session, rows: Rows, wanted: Wanted, limit: int) -> tuple[JobView, ...]:
    async with rt.db.transaction() as tx:
        vmids = await tx.job_lists.vmids(session.endpoint_id, wanted)
        ours = {vmid: UUID(rows[vmid].job) for vmid in vmids & rows.keys() if rows[vmid].job}
        viewer = Viewer(
            session.endpoint_id,
            session.userid,
            session.id if session.tokenid else None,
            foreign=frozenset((vmids & rows.keys()) - ours.keys()),
            runs=frozenset(ours.values()),
        )
        found = await tx.job_lists.list(viewer, wanted, limit=limit)
    return tuple(views_of(session, found, {}))
