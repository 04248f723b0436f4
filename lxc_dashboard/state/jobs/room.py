"""Shared by pages about jobs: the room for pushes of changes, a list that is updated, and notices about the end of an act."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.errors import ServiceUnavailableError, UnreachableError
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.jobs.acts import Act
from lxc_dashboard.services.jobs.events import follow
from lxc_dashboard.services.jobs.listing import pulse, pulse_of
from lxc_dashboard.state.base import (
    EMPTY,
    LOADING,
    READY,
    PageState,
    caller,
    notify,
    notify_error,
    notify_warning,
    requires,
    runtime,
    session,
    uuid_of,
)
from lxc_dashboard.state.jobs.rows import JobRow, moved

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime


BEGINS_WITHIN_S: Final = 10.0


async def barred_from(act: Act, vmid: int) -> str:
    """Text about the privilege that the user lacks for the act on the guest; empty if they have it or PVE does not answer."""
    path = f"/vms/{vmid}"
    missing = await privileges.missing(runtime(), session(), path, *act.needs)
    return text.MISSING_PRIVILEGE.format(privilege=missing, path=path) if missing else ""


async def notices(rt: Runtime, job_id: UUID) -> AsyncIterator[Any]:
    """Yield a notice at the end of the job, and an earlier one if no worker starts it within ``BEGINS_WITHIN_S``.

    Only listens: the job continues when the page closes or the web process ends.
    """
    ending = asyncio.create_task(follow.ended(rt, job_id))
    try:
        await asyncio.wait([ending], timeout=BEGINS_WITHIN_S)
        if not ending.done() and await _is_queued(rt, job_id):
            yield notify_warning(text.NO_WORKER, job_id)
        job = await ending
    finally:
        ending.cancel()
    if job.state == JobState.DONE:
        yield notify(text.in_words_of(job.result), job_id)
    else:
        show = notify_error if job.state == JobState.FAILED else notify_warning
        yield show(text.in_words_of(job.error), job=job_id)


async def _is_queued(rt: Runtime, job_id: UUID) -> bool:
    async with rt.db.transaction() as tx:
        return (await tx.jobs.get(job_id)).state == JobState.QUEUED


log = structlog.get_logger(__name__)

RIGHTS_HOLD_S: Final = 15.0
ANSWERS_WITHIN_S: Final = 4.0


class JobRoom(PageState, mixin=True):
    """A page that is updated when jobs change. ``_read`` fills it. The hub pushes ``tick`` with each change."""

    tick: int = 0
    _read_at: float = 0.0

    @requires(unattended=True)
    async def watch(self) -> None:
        """Enter the room, and show changes since the page was filled."""
        await caller().process.jobs.watch(self.router.session.session_id, session().endpoint_id)
        if self.phase in {READY, EMPTY}:
            await self._follow()

    @requires(unattended=True)
    async def leave(self) -> None:
        """Leave the room, because the page is hidden or closed."""
        await caller().process.jobs.leave(self.router.session.session_id, session().endpoint_id)

    @requires(unattended=True)
    async def follow(self) -> None:
        """Show a change at this endpoint. A page that is still loading reads it anyway."""
        if self.phase != LOADING:
            await self._follow()

    async def _follow(self) -> None:
        """Show what changed."""
        raise NotImplementedError

    async def _read(self) -> None:
        """Fill the page. Checks in PVE what the user may see."""
        raise NotImplementedError

    async def _read_again(self) -> bool:
        """Call ``_read`` at most every ``RIGHTS_HOLD_S``, since the user may have lost privileges. Return whether it succeeded."""
        if time.monotonic() - self._read_at < RIGHTS_HOLD_S:
            return False
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self._read()
        except (TimeoutError, UnreachableError, ServiceUnavailableError) as error:
            log.info("privileges not checked", why=str(error))
            return False
        return True


class FollowedJobs(JobRoom, mixin=True):
    """A list of jobs. ``own_only``: other users' jobs are missing, because PVE does not answer. ``_read`` sets ``rows``."""

    rows: list[JobRow] = []
    own_only: bool = False
    _known: frozenset[UUID] = frozenset()

    async def _remember(self) -> None:
        """Store the existing jobs before a reading, so that ``_follow`` recognizes a new job."""
        self._read_at = time.monotonic()
        self._known = frozenset(job.id for job in await pulse(runtime(), session().endpoint_id))

    async def _follow(self) -> None:
        """Update the rows from the pulse of their jobs. Reads all if a job is new or in another state, or ``_read_again`` is due."""
        if await self._read_again():
            return
        endpoint_id = session().endpoint_id
        newest = frozenset(job.id for job in await pulse(runtime(), endpoint_id))
        shown = [uuid_of(row.id, text.NO_SUCH_JOB) for row in self.rows]
        jobs = {str(job.id): job for job in await pulse_of(runtime(), endpoint_id, shown)}
        if newest - self._known or any(jobs[row.id].state != row.state for row in self.rows if row.id in jobs):
            await self._read()
            return
        at = now()
        self._put([moved(row, jobs[row.id], at) if row.id in jobs else row for row in self.rows])

    def _put(self, rows: list[JobRow]) -> None:
        if rows != self.rows:
            self.rows = rows


def update_of(tick: int) -> StateUpdate:
    """The update that pushes ``tick`` to all pages in the room. The frontend drops the part of a page that is not shown."""
    return StateUpdate(delta={page.get_full_name(): {f"tick{FIELD_MARKER}": tick} for page in _pages(JobRoom)})


def _pages(of: type[JobRoom]) -> Iterator[type[JobRoom]]:
    for each in of.__subclasses__():
        if not each._mixin:  # noqa: SLF001 - how Reflex marks a class that is no state by itself
            yield each
        yield from _pages(each)
