"""Lists of jobs that a user may see: filtered pages of an endpoint's jobs, and short lists for the rows of the feed.

The short lists do not call PVE, so any page may read them often. A container of ours is matched by its latest creation,
which the feed names. Any other guest is matched by its vmid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import structlog

from lxc_dashboard.db.models import JobState
from lxc_dashboard.db.repositories.job_lists import Choices, Named, Viewer, Wanted
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.errors import ServiceUnavailableError, UnreachableError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.jobs import visibility
from lxc_dashboard.services.jobs.engine.ticket import owns
from lxc_dashboard.services.jobs.views import JobView, job_view

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

SEEN_FOR_S: Final = 15.0
ANSWER_WITHIN_S: Final = 4.0  # the user's own jobs are listed without PVE

__all__ = ["Choices", "JobPage", "Wanted", "page_of", "rows_of", "views_of"]


@dataclass(frozen=True, slots=True)
class JobPage:
    """``total`` counts all that match; ``choices`` are those of all jobs that the user may see.

    ``own_only``: PVE did not answer, so only the user's own jobs are listed.
    """

    jobs: tuple[JobView, ...]
    total: int
    choices: Choices
    own_only: bool = False


async def page_of(rt: Runtime, session: Session, wanted: Wanted, *, limit: int, offset: int = 0) -> JobPage:
    """The user's own jobs, and those of guests that PVE shows the user, newest first. Raises the errors of PVE.

    ``limit`` and ``offset`` count visible jobs: a page that holds hidden jobs is read again without them.
    """
    shown, own_only = await _viewer(rt, session)
    viewer, rows = await _seen(rt, session, shown, wanted, limit=limit, offset=offset)
    async with rt.db.transaction() as tx:
        total = await tx.job_lists.count(viewer, wanted)
        choices = await tx.job_lists.choices(viewer)
        places = await tx.slots.places(session.endpoint_id)
    return JobPage(tuple(views_of(session, rows, places)), total, choices, own_only)


async def rows_of(rt: Runtime, session: Session, wanted: Wanted, *, limit: int) -> Sequence[Named]:
    """The rows of the first page of ``page_of``, for kinds with a view of their own."""
    viewer, _ = await _viewer(rt, session)
    return (await _seen(rt, session, viewer, wanted, limit=limit, offset=0))[1]


def views_of(session: Session, rows: Iterable[Named], places: Mapping[UUID, Place]) -> Iterator[JobView]:
    for job, container, template in rows:
        yield replace(job_view(job, container, template, own=owns(session, job)), place=places.get(job.id))


async def _seen(
    rt: Runtime, session: Session, shown: Viewer, wanted: Wanted, *, limit: int, offset: int
) -> tuple[Viewer, Sequence[Named]]:
    """The viewer with the hidden ids that were found, and the page's rows, all visible to the user."""
    known, seen = await _hidden(rt, session), frozenset[UUID]()
    viewer = replace(shown, hidden=known)
    while True:
        async with rt.db.transaction() as tx:
            rows = await tx.job_lists.list(viewer, wanted, limit=limit, offset=offset)
        foreign = [(job, container) for job, container, _ in rows if not owns(session, job)]
        others = {container.id: container for _, container in foreign if container}
        acts = {job.id: job for job, container in foreign if container is None}
        seen |= await visibility.seen(rt, session, [each for each in others.values() if each.id not in seen])
        seen |= await visibility.seen_acts(rt, session, [each for each in acts.values() if each.id not in seen])
        hidden = (others.keys() | acts.keys()) - seen
        if not hidden:
            break
        viewer = replace(viewer, hidden=viewer.hidden | hidden)
    if viewer.hidden != known:
        await _hide(rt, session, viewer.hidden)
    return viewer, rows


async def _hidden(rt: Runtime, session: Session) -> frozenset[UUID]:
    """The ids that an earlier page found hidden, cached for ``SEEN_FOR_S``, so that the next page's offset is right."""
    try:
        known = await rt.bus.get(f"jobs:hidden:{session.id}")
    except ServiceUnavailableError as error:
        log.info("hidden jobs not cached", why=str(error))
        return frozenset()
    return frozenset(UUID(text) for text in (known or b"").decode().split())


async def _hide(rt: Runtime, session: Session, hidden: frozenset[UUID]) -> None:
    try:
        await rt.bus.set(f"jobs:hidden:{session.id}", " ".join(map(str, hidden)).encode(), ttl_s=SEEN_FOR_S)
    except ServiceUnavailableError as error:
        log.info("hidden jobs not cached", why=str(error))


async def _viewer(rt: Runtime, session: Session) -> tuple[Viewer, bool]:
    """The viewer, and whether PVE failed to answer. Caches the answer for ``SEEN_FOR_S``: open lists are read often."""
    known, silent = b"", False
    try:
        known = await _known(rt, session)
    except UnreachableError as error:
        log.info("own jobs listed only", why=str(error))
        silent = True
    gone, _, vmids = known.decode().partition(":")
    seen = frozenset(int(vmid) for vmid in vmids.split(",") if vmid)
    tab = session.id if session.tokenid else None
    return Viewer(session.endpoint_id, session.userid, tab, seen, gone == "1"), silent


async def _known(rt: Runtime, session: Session) -> bytes:
    key = f"jobs:seen:{session.id}"
    try:
        known = await rt.bus.get(key)
        if known is None:
            known = await _ask(rt, session)
            await rt.bus.set(key, known, ttl_s=SEEN_FOR_S)
    except ServiceUnavailableError as error:
        log.info("visible guests not cached", why=str(error))
        return await _ask(rt, session)
    return known


async def _ask(rt: Runtime, session: Session) -> bytes:
    client = (await acting.client(rt, session)).within(ANSWER_WITHIN_S)
    vmids = sorted(guest.vmid for guest in await client.cluster.resources("vm"))
    gone = visibility.SEE_PRIVILEGE in await client.access.permissions(visibility.ALL_GUESTS)
    return f"{int(gone)}:{','.join(map(str, vmids))}".encode()


class FeedRow(Protocol):
    """A guest in the feed. ``job``: the id of the creation that made it, or empty."""

    @property
    def job(self) -> str: ...


Rows = Mapping[int, FeedRow]

RUNNING_AT_MOST: Final = 200


async def running(rt: Runtime, session: Session, rows: Rows) -> tuple[JobView, ...]:
    """The jobs that a worker works on now, newest first. ``rows``: the guests in the feed, by vmid."""
    return await _listed(rt, session, rows, Wanted((JobState.RUNNING, JobState.CANCELLING)), RUNNING_AT_MOST)


async def named(rt: Runtime, session: Session, rows: Rows, name: str, limit: int) -> tuple[JobView, ...]:
    """The newest ``limit`` jobs whose guest's name contains every word of ``name``."""
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
