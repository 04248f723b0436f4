"""Follows a job: all earlier events, then each new one, every number once and in order. A page also sees retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import EventType, Job, JobEvent, JobState
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.jobs.events import lines as events
from lxc_dashboard.services.jobs.events.lines import ProgressEvent

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime


log = structlog.get_logger(__name__)

# Each row holds up to 500 lines, or 64 KiB.
PAGE: Final = 100
BLOCK_MS: Final = 2000
# After so many empty reads PostgreSQL is read, for events that the stream lost. Many followers make each read costly.
SILENT_READS: Final = 3
POLL_WITHOUT_REDIS_S: Final = 0.5
REDIS_AWAY_S: Final = 5.0
# A Redis that hangs must not delay the events in PostgreSQL, so this is shorter than the timeout of the bus.
REDIS_ANSWERS_WITHIN_S: Final = 1.0
DATABASE_AWAY_S: Final = 1.0
_ENDS: Final = frozenset({EventType.COMPLETE, EventType.ERROR})


async def follow(rt: Runtime, job_id: UUID, after_seq: int = 0) -> AsyncGenerator[list[ProgressEvent], None]:
    """Events after number ``after_seq``, in order and without a gap, until the job has ended and all events are read.

    Reads PostgreSQL first, then the Redis stream; without Redis, PostgreSQL twice a second. The caller checks whether
    the user may see the job (``service.visible``). Raises ``NotFoundError``.
    """
    follower = _Follower(rt, job_id, after_seq)
    while True:
        ended = await follower.has_ended()  # checked first, so that all events until then are read
        async for batch in follower.stored():
            yield batch
        if ended:
            return
        async for batch in follower.streamed():
            yield batch


async def ended(rt: Runtime, job_id: UUID) -> Job:
    """The job once it has ended. Raises ``NotFoundError``."""
    async for _ in follow(rt, job_id):
        continue
    async with rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


class _Follower:
    def __init__(self, rt: Runtime, job_id: UUID, seq: int) -> None:
        self._rt = rt
        self._id = job_id
        self._stream = events.stream_of(job_id)
        self._seq = seq
        self._at = ""
        self._ask_redis_from = 0.0

    async def has_ended(self) -> bool:
        self._at = self._at or await self._newest()
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    standing = (await tx.jobs.standings([self._id])).get(self._id)
            except ServiceUnavailableError:
                await asyncio.sleep(DATABASE_AWAY_S)
            else:
                if standing is None:
                    raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
                return standing.state in FINISHED

    async def _newest(self) -> str:
        """The end of the stream before PostgreSQL is read. Later events come from the stream."""
        now = asyncio.get_running_loop().time()
        if now < self._ask_redis_from:
            return ""
        try:
            async with asyncio.timeout(REDIS_ANSWERS_WITHIN_S):
                return await self._rt.bus.last_id(self._stream)
        except (ServiceUnavailableError, TimeoutError):
            self._ask_redis_from = now + REDIS_AWAY_S
            return ""

    async def stored(self) -> AsyncIterator[list[ProgressEvent]]:
        while True:
            rows = await self._page()
            batch = self._take([events.of_row(row) for row in rows])
            if batch:
                yield batch
            if len(rows) < PAGE:
                return

    async def _page(self) -> list[JobEvent]:
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    return list(await tx.events.after(self._id, self._seq, PAGE))
            except ServiceUnavailableError:
                await asyncio.sleep(DATABASE_AWAY_S)

    async def streamed(self) -> AsyncIterator[list[ProgressEvent]]:
        """Events of the stream until PostgreSQL must be read again.

        That is when the stream is silent for a while, a number is missing, or the job may have ended.
        """
        silent = 0
        while silent < SILENT_READS:
            found = await self._read()
            if found is None or (found and found[0].seq > self._seq + 1):
                return
            silent = 0 if found else silent + 1
            batch = self._take(found)
            if batch:
                yield batch
            if any(event.type in _ENDS or event.last > self._seq for event in found):
                return

    async def _read(self) -> list[ProgressEvent] | None:
        """The next entries; empty after ``BLOCK_MS`` without any. None if Redis is away or an entry is invalid."""
        if not self._at:
            await asyncio.sleep(POLL_WITHOUT_REDIS_S)
            return None
        try:
            async with asyncio.timeout(BLOCK_MS / 1000 + REDIS_ANSWERS_WITHIN_S):
                entries = await self._rt.bus.read_after(self._stream, self._at, block_ms=BLOCK_MS)
        except (ServiceUnavailableError, TimeoutError) as error:
            log.info("stream not read", stream=self._stream, why=str(error))
            self._at = ""
            return None
        if entries:
            self._at = entries[-1][0]
        try:
            return [events.decode(data) for _, data in entries]
        except msgspec.DecodeError as error:
            log.warning("stream not understood", stream=self._stream, why=str(error))
            return None

    def _take(self, found: list[ProgressEvent]) -> list[ProgressEvent]:
        """The new part of ``found``, up to the first missing number."""
        batch: list[ProgressEvent] = []
        for event in found:
            if event.seq > self._seq + 1:
                break
            rest = event.after(self._seq)
            if rest is not None:
                batch.append(rest)
                self._seq = rest.last
        return batch


LOOK_AGAIN_S: Final = 2.0
FINAL: Final = FINISHED - {JobState.FAILED}


@dataclass(frozen=True, slots=True)
class _Standing:
    """``attempt`` tells a job that failed once more from one that has not moved."""

    state: JobState
    attempt: int


async def watch(rt: Runtime, job_id: UUID, after_seq: int) -> AsyncGenerator[list[ProgressEvent], None]:
    """``follow`` that goes on after a failure, so that the page of a failed job shows its retry.

    An empty list means that the state changed without an event. The caller checks whether the user may see the job.
    """
    seq = after_seq
    while (before := await _standing(rt, job_id)) is not None:
        async for batch in follow(rt, job_id, seq):
            seq = batch[-1].last
            yield batch
        yield []
        if before.state in FINAL:
            return
        if before.state is JobState.FAILED:
            await _until_moved(rt, job_id, before)


async def _until_moved(rt: Runtime, job_id: UUID, before: _Standing) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        if await _standing(rt, job_id) != before:
            return


async def _standing(rt: Runtime, job_id: UUID) -> _Standing | None:
    while True:
        try:
            async with rt.db.transaction() as tx:
                creation = await tx.jobs.get(job_id)
        except NotFoundError:
            return None
        except ServiceUnavailableError:
            await asyncio.sleep(LOOK_AGAIN_S)
        else:
            return _Standing(JobState(creation.state), creation.attempt)
