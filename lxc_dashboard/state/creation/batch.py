"""The page of a batch: its jobs, updated live, and the actions to cancel all and to retry the failed ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.db.models import now
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.creation import batches
from lxc_dashboard.services.creation.batches import BatchJob, Outcome
from lxc_dashboard.state.base import READY, id_in, notify, notify_error, requires, runtime, session, uuid_of
from lxc_dashboard.state.jobs.room import JobRoom
from lxc_dashboard.state.jobs.rows import JobRow, row_of
from lxc_dashboard.state.templates.rows import counted

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

FULL = 100


@dataclass(frozen=True)
class BatchRow(JobRow):
    """``cause``: why the job failed. ``lost``: its container was destroyed."""

    address: str = ""
    cause: str = ""
    lost: bool = False


class BatchState(JobRoom, rx.State):
    """The jobs of one batch. ``percent``: the mean progress of all jobs."""

    id: str = ""
    pattern: str = ""
    userid: str = ""
    created_at: str = ""
    rows: list[BatchRow] = []
    total: int = 0
    ready: int = 0
    failed: int = 0
    running: int = 0
    ended: int = 0
    hidden: int = 0
    percent: int = 0
    own: bool = False
    cancel_title: str = ""
    acting: str = ""

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Clear what the page shows of another batch, then read this one."""
        batch_id = self._batch_id()
        if batch_id != self.id:
            self.reset()
            self.id = batch_id
            yield
        async with self._filling():
            await self._read()
            self._show()

    @requires(background=True)
    async def cancel_all(self) -> AsyncIterator[Any]:
        """Cancel every unfinished job."""
        async for event in self._act(batches.cancel_all, text.BATCH_CANCELLING, text.BATCH_CANCELLED, "job"):
            yield event

    @requires(background=True)
    async def retry_failed(self) -> AsyncIterator[Any]:
        """Retry every failed job from the step that failed."""
        async for event in self._act(batches.retry_failed, text.BATCH_RETRYING, text.BATCH_RETRIED, "failed job"):
            yield event

    async def _act(
        self, act: Callable[[Runtime, Session, UUID], Awaitable[Outcome]], acting: str, sentence: str, noun: str
    ) -> AsyncIterator[Any]:
        """Run ``act`` on the batch and show ``acting`` until it ends. ``sentence``, ``noun``: words for the result."""
        rt, who = runtime(), session()
        async with self:
            if self.acting:
                return
            self.acting, batch_id = acting, uuid_of(self.id, text.NO_SUCH_BATCH)
        try:
            outcome = await act(rt, who, batch_id)
        finally:
            async with self:
                self.acting = ""
        for event in outcome_notes(outcome, sentence, noun):
            yield event
        yield BatchState.follow

    def _batch_id(self) -> str:
        return id_in(self.router.url.path, self.router.url.query_parameters, "batch_id")

    async def _read(self) -> None:
        self._read_at = time.monotonic()
        found = await batches.get_batch(runtime(), session(), uuid_of(self.id, text.NO_SUCH_BATCH))
        self.pattern, self.userid, self.hidden = found.pattern, found.userid, found.hidden
        self.created_at = found.created_at.isoformat()
        self.own = any(each.job.own for each in found.jobs)
        self._fill(found.jobs, now())

    async def _follow(self) -> None:
        """Update the shown rows. For a new job, and from time to time, read the batch and the privileges again."""
        if self.phase != READY:
            return
        try:
            if await self._read_again():
                return
        except NotFoundError as error:
            await self._lose(error, id=self.id)
            return
        found = await batches.jobs_now(runtime(), uuid_of(self.id, text.NO_SUCH_BATCH))
        shown = {row.id for row in self.rows}
        if len(found) != len(shown) + self.hidden:
            await self._read()
            return
        self._fill([each for each in found if str(each.job.id) in shown], now())

    def _fill(self, jobs: Sequence[BatchJob], at: datetime) -> None:
        rows = [batch_row(each, at) for each in jobs]
        if [_still(row) for row in rows] != [_still(row) for row in self.rows]:
            self.rows = rows
        self._count(jobs)

    def _count(self, jobs: Sequence[BatchJob]) -> None:
        states = Counter(each.job.state.value for each in jobs)
        self.total, self.ready = len(jobs), states["done"]
        self.failed = sum(each.is_failed for each in jobs)
        self.running = sum(each.is_open for each in jobs)
        self.ended = self.total - self.ready - self.failed - self.running
        parts = [each.job.percent if each.is_open else FULL for each in jobs]
        self.percent = sum(parts) // len(parts) if parts else 0
        self.cancel_title = cancel_title(self.running, self.pattern)


def cancel_title(running: int, pattern: str) -> str:
    return text.BATCH_CANCEL_TITLE.format(containers=counted(running, "container"), pattern=pattern)


def batch_row(found: BatchJob, at: datetime) -> BatchRow:
    job = found.job
    lost = job.state.value == "failed" and not job.retryable
    values = {name: getattr(row_of(job, at), name) for name in JobRow.__dataclass_fields__}
    word = {"word": text.BATCH_LOST} if lost else {}
    cause = text.in_words_of(job.error.reason) if job.error else ""
    return BatchRow(**(values | word), address=found.address, cause=cause, lost=lost)


def _still(row: BatchRow) -> tuple[object, ...]:
    """The row's values without its elapsed time, which the browser counts itself."""
    return (row.id, row.word, row.vmid, row.node, row.address, row.cause, row.ticking, row.lost)


def outcome_notes(outcome: Outcome, sentence: str, noun: str) -> list[Any]:
    events = [notify(sentence.format(jobs=counted(len(outcome.done), noun)))] if outcome.done else []
    if outcome.refused:
        name, why = outcome.refused[0]
        sentence = text.BATCH_REFUSED.format(count=len(outcome.refused), name=name, why=text.with_remedy(why))
        events.append(notify_error(sentence))
    return events or [notify(text.BATCH_NOTHING_TO_DO)]
