"""Writes a job's events: PostgreSQL stores and numbers them, then a Redis stream passes them on. Redis may fail."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import EventType
from lxc_dashboard.db.repositories.events import Batch, NewEvent, StoredEvent, lease_gone
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.events import lines as events

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.codes import EventCode, Param

log = structlog.get_logger(__name__)

CHUNK_LINES: Final = 500
CHUNK_CHARS: Final = 64 * 1024
BUFFER_CHARS: Final = 2 * 1024 * 1024
RETRY_S: Final = (0.1, 0.25, 0.5, 1.0)
RENEWALS: Final = 3
LAST_WORDS_WITHIN_S: Final = 1.0


class LeaseLostError(Exception):
    """Another worker has the job, or its session has ended. This worker must change nothing from now on."""


class Recorder:
    """Takes events at any pace. The process's journal writes them together with the checkpoint, in one transaction.

    All methods raise ``LeaseLostError`` once the lease is gone. While PostgreSQL is away, the job waits, and
    ``BUFFER_CHARS`` bounds its memory.
    """

    def __init__(self, rt: Runtime, job_id: UUID, owner: str, checkpoint: Checkpoint, lease_s: float) -> None:
        self._rt = rt
        self._id = job_id
        self.owner = owner
        self._lease_s = lease_s
        self.checkpoint = checkpoint
        self.step = ""
        self.percent = 0
        self._events: deque[NewEvent] = deque()
        self._chars = 0
        self._dirty = False
        self._seq = -1
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._written = asyncio.Condition()
        self._asked = self._taken = self._answered = 0
        self._batch = self._empty()
        self._failure: BaseException | None = None
        self._writer: asyncio.Task[None] | None = None
        self._stream = events.stream_of(job_id)

    async def start(self, step: str, percent: int) -> None:
        self.step, self.percent = step, percent
        async with self._rt.db.transaction() as tx:
            self._seq = await tx.events.last_seq(self._id)
        self._room.set()
        self._writer = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Stop writing. Events that were not flushed may be lost."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
            self._writer = None

    def tell(
        self,
        code: EventCode,
        kind: EventType = EventType.STEP,
        /,
        *,
        place: Mapping[str, Any] | None = None,
        **params: Param,
    ) -> None:
        """Add one event. ``place``: script, script_index, script_total."""
        told = Message.of(code, **params)
        self._add(NewEvent(kind, self.step, self.percent, code=told.code, params=told.params, **(place or {})))

    def tell_message(self, message: Message, kind: EventType) -> None:
        """``tell`` for a code that was chosen before."""
        self._add(NewEvent(kind, self.step, self.percent, code=message.code, params=message.params))

    async def log(self, lines: Sequence[str], **place: Any) -> None:
        """Add lines of output. Waits while too much of it is unwritten."""
        self._add_lines(lines, place)
        while self._chars > BUFFER_CHARS:
            self._room.clear()
            self._raise_failure()
            await self._room.wait()
        self._raise_failure()

    def _add_lines(self, lines: Sequence[str], place: dict[str, Any]) -> None:
        chunk: list[str] = []
        size = 0
        for line in lines:
            chunk.append(line)
            size += len(line)
            if len(chunk) == CHUNK_LINES or size >= CHUNK_CHARS:
                self._add(self._chunk(chunk, place))
                chunk, size = [], 0
        if chunk:
            self._add(self._chunk(chunk, place))

    def _chunk(self, lines: list[str], place: dict[str, Any]) -> NewEvent:
        return NewEvent(EventType.LOG, self.step, self.percent, "\n".join(lines), lines=len(lines), **place)

    def _add(self, event: NewEvent) -> None:
        self._raise_failure()
        self._events.append(event)
        self._chars += len(event.message)
        self._wake.set()

    def touch(self) -> None:
        """Have the changed checkpoint written with the next batch."""
        self._dirty = True
        self._wake.set()

    async def flush(self) -> None:
        """Wait until all events so far, and the checkpoint as it is now, are stored. Raises after ``close``."""
        if self._writer is None:
            raise LeaseLostError
        self._dirty = True
        self._asked += 1
        mine = self._asked
        self._wake.set()
        self._rt.journal.hurry()
        async with self._written:
            await self._written.wait_for(lambda: self._answered >= mine or self._failure is not None)
        self._raise_failure()

    async def append_rest(self, tx: Transaction) -> Sequence[StoredEvent]:
        """Store the unwritten events and the checkpoint in the transaction that ends the job. Call ``close`` first."""
        return await tx.events.append(self._id, self.owner, list(self._events), checkpoint=self.checkpoint.to_json())

    async def pass_on(self, rows: Sequence[StoredEvent]) -> None:
        """Send the rows of ``append_rest`` to followers, after their transaction. Waits a second at most."""
        self._put(rows)
        if not await self._rt.outbox.sent(LAST_WORDS_WITHIN_S):
            log.info("the end not passed on yet", stream=self._stream)

    def _put(self, rows: Sequence[StoredEvent]) -> None:
        self._rt.outbox.put(self._stream, [events.encode(events.of_row(row)) for row in rows])

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise LeaseLostError from self._failure

    async def _write_on(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._events or self._dirty:
                    await self._write_batch()
        except (ConflictError, LeaseLostError) as error:
            await self._fail(error)
        except Exception as error:
            log.exception("progress not written", job_id=str(self._id))
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        self._failure = error
        self._room.set()
        async with self._written:
            self._written.notify_all()

    async def _write_batch(self) -> None:
        rows = await self._write()
        self._seq += sum(event.lines for event in self._batch.events)
        self._batch = self._empty()
        self._put(rows)
        if self._chars <= BUFFER_CHARS:
            self._room.set()
        async with self._written:
            self._answered = self._taken
            self._written.notify_all()

    def _empty(self) -> Batch:
        return Batch(self._id, self.owner, ())

    def _take(self) -> Batch:
        """Take all unwritten events. The checkpoint covers them all, so none may be left for a later transaction."""
        self._batch = Batch(self._id, self.owner, tuple(self._events), self.checkpoint.to_json())
        self._events.clear()
        self._chars = 0
        self._dirty = False
        self._taken = self._asked
        return self._batch

    async def _write(self) -> Sequence[StoredEvent]:
        tries = conflicts = 0
        while True:
            try:
                if tries > 0:
                    return await self._write_again(self._batch)
                return await self._rt.journal.write(self._take, at_once=self._asked > self._answered)
            except ServiceUnavailableError as error:
                delay_s = RETRY_S[min(tries, len(RETRY_S) - 1)]
                log.warning("progress waits for the database", job_id=str(self._id), why=str(error), tries=tries)
                await asyncio.sleep(delay_s)
            except ConflictError:
                # The lease may have expired while the database was away. It can be renewed if no other worker has it.
                conflicts += 1
                if conflicts > RENEWALS or not await self._renew():
                    raise
            tries += 1

    async def _write_again(self, batch: Batch) -> Sequence[StoredEvent]:
        async with self._rt.db.transaction() as tx:
            if batch.events and await tx.events.last_seq(self._id) > self._seq:
                # The connection was lost after the commit, so the events are stored, unless another worker wrote these.
                if not await tx.leases.renew(self._id, self.owner, self._lease_s):
                    raise lease_gone(self._id, self.owner)
                return await tx.events.after(self._id, self._seq, limit=len(batch.events))
            return await tx.events.append(self._id, self.owner, batch.events, checkpoint=batch.checkpoint)

    async def _renew(self) -> bool:
        async with self._rt.db.transaction() as tx:
            return await tx.leases.renew(self._id, self.owner, self._lease_s)
