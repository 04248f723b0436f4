"""A batch as pages show it, and what can be done with all of it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import Container, Job, JobState
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import DashboardError, NotFoundError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.failures import FailureCode
from lxc_dashboard.services.creation.views import CreationView, creation_view
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs import visibility
from lxc_dashboard.services.jobs.engine.ticket import owns

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One of a batch. ``address`` is the one it has, or is to get; empty where DHCP has not given any yet."""

    job: CreationView
    address: str

    @property
    def is_open(self) -> bool:
        return self.job.state not in FINISHED

    @property
    def is_failed(self) -> bool:
        """Not where what it left was destroyed, or made anew."""
        return self.job.retryable


@dataclass(frozen=True, slots=True)
class BatchView:
    """In the order of the pattern. ``hidden``: how many of its jobs this user may not see."""

    id: UUID
    pattern: str
    userid: str
    created_at: datetime
    jobs: tuple[BatchJob, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``done`` hostnames, and what each of the others was refused for."""

    done: tuple[str, ...] = ()
    refused: tuple[tuple[str, Message], ...] = ()


async def get_batch(rt: Runtime, session: Session, batch_id: UUID) -> BatchView:
    """One's own, or those of its jobs whose containers PVE lets the user see. Raises ``NotFoundError``, what PVE says."""
    async with rt.db.transaction() as tx:
        batch = await tx.batches.get(batch_id)
        runs = await tx.batches.runs(batch_id) if batch.endpoint_id == session.endpoint_id else ()
    others = [container for creation, container in runs if not owns(session, creation)]
    seen = await visibility.seen(rt, session, others)
    shown = [
        BatchJob(creation_view(creation, container, "", own=owns(session, creation)), _address(creation, container))
        for creation, container in runs
        if owns(session, creation) or container.id in seen
    ]
    if not shown:
        raise NotFoundError(Message.of(FailureCode.BATCH_GONE))
    return BatchView(batch.id, batch.pattern, batch.userid, batch.created_at, tuple(shown), len(runs) - len(shown))


async def jobs_now(rt: Runtime, batch_id: UUID) -> list[BatchJob]:
    """Not asked of anybody's rights: only for ids that were shown before."""
    async with rt.db.transaction() as tx:
        runs = await tx.batches.runs(batch_id)
    return [
        BatchJob(creation_view(creation, container, "", own=False), _address(creation, container))
        for creation, container in runs
    ]


async def cancel_all(rt: Runtime, session: Session, batch_id: UUID) -> Outcome:
    """``jobs.service.cancel`` for each that has not ended. Raises ``NotFoundError``."""
    view = await get_batch(rt, session, batch_id)
    open_ = [found.job for found in view.jobs if found.is_open and found.job.state is not JobState.CANCELLING]
    return await _each(open_, lambda job: jobs.cancel(rt, session, job.id))


async def retry_failed(rt: Runtime, session: Session, batch_id: UUID) -> Outcome:
    """``service.retry`` for each that failed. Raises ``NotFoundError``."""
    view = await get_batch(rt, session, batch_id)
    failed = [found.job for found in view.jobs if found.is_failed]
    return await _each(failed, lambda job: service.retry(rt, session, job.id))


def _address(creation: Job, container: Container) -> str:
    promised = [creation.params.get(family, {}).get("address", "") for family in ("ipv4", "ipv6")]
    return container.address or next((text.partition("/")[0] for text in promised if text), "")


async def _each(jobs: Sequence[CreationView], act: Callable[[CreationView], Awaitable[object]]) -> Outcome:
    """A refusal of one hinders none of the others."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(job: CreationView) -> Message | None:
        async with turn:
            try:
                await act(job)
            except DashboardError as error:
                return error.reason
        return None

    answers = await asyncio.gather(*(one(job) for job in jobs))
    told = [(job.hostname, answer) for job, answer in zip(jobs, answers, strict=True)]
    return Outcome(tuple(name for name, why in told if why is None), tuple((name, why) for name, why in told if why))
