"""Writes the events of all jobs of a process together, so that each job costs less."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.repositories.events import Batch, StoredEvent, lease_gone
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    from lxc_dashboard.db.database import DatabaseService
    from lxc_dashboard.db.repositories.jobs import Standing
    from lxc_dashboard.settings import Timing

# A busy process collects longer before each write.
PAUSE_GROWTH: Final = 8.0


@dataclass(eq=False, slots=True)
class _Turn:
    take: Callable[[], Batch]
    rows: asyncio.Future[Sequence[StoredEvent]]

    def fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.rows.cancel()
        elif not self.rows.done():
            self.rows.set_exception(error)

    def give(self, rows: Sequence[StoredEvent] | None, batch: Batch) -> None:
        if rows is None:
            self.fail(lease_gone(batch.job_id, batch.owner))
        elif not self.rows.done():
            self.rows.set_result(rows)


class Journal:
    """One per process and event loop. Waits between two writes for more batches, unless a caller hurries."""

    def __init__(self, database: DatabaseService, timing: Timing) -> None:
        self._database = database
        self._timing = timing
        self._waiting: list[_Turn] = []
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def write(self, take: Callable[[], Batch], *, at_once: bool) -> Sequence[StoredEvent]:
        """Store the batch that ``take`` returns, and return its rows. A cancelled call does not call ``take``.

        Raises ``ConflictError`` where the batch's owner holds no lease (the other batches of the write are stored).
        After ``ServiceUnavailableError`` the batch may be stored or not.
        """
        turn = _Turn(take, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        if at_once:
            self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_on())
        try:
            return await turn.rows
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def hurry(self) -> None:
        """Write the waiting batches now."""
        if self._waiting:
            self._hurry.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        _fail(self._waiting, asyncio.CancelledError())  # the task may have been cancelled before its first step

    async def _write_on(self) -> None:
        """Write until no batch waits. Every exit resolves all waiting calls."""
        clock, turns = asyncio.get_running_loop().time, list[_Turn]()
        try:
            while self._waiting:
                turns, self._waiting = self._waiting, []
                self._hurry.clear()
                begun = clock()
                await self._write(self._taken(turns))
                await self._gather(clock() - begun)
        except BaseException as error:
            _fail([*turns, *self._waiting], error)
            raise

    @staticmethod
    def _taken(turns: Sequence[_Turn]) -> list[tuple[_Turn, Batch]]:
        """Take the batches. A failing ``take`` fails only its own call."""
        group = []
        for turn in turns:
            try:
                group.append((turn, turn.take()))
            except Exception as error:  # noqa: BLE001 - the waiting call gets the error
                turn.fail(error)
        return group

    async def _gather(self, write_s: float) -> None:
        pause_s = max(self._timing.journal_pause_s, PAUSE_GROWTH * write_s)
        pause_s = min(self._timing.longest_journal_pause_s, pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._hurry.wait()

    async def _write(self, group: Sequence[tuple[_Turn, Batch]]) -> None:
        if not group:
            return
        try:
            async with self._database.transaction() as tx:
                written = await tx.events.append_batches([batch for _, batch in group])
        except Exception as error:  # noqa: BLE001 - each call gets the error of its own batch
            if len(group) == 1 or isinstance(error, ServiceUnavailableError):
                _fail([turn for turn, _ in group], error)
                return
            for alone in group:  # one invalid batch must not fail the others
                await self._write([alone])
        else:
            for (turn, batch), rows in zip(group, written, strict=True):
                turn.give(rows, batch)


def _fail(turns: Sequence[_Turn], error: BaseException) -> None:
    for turn in turns:
        turn.fail(error)


EVERY_S: Final = 1.0


class Standings:
    """One per process and event loop. Reads only while a caller waits."""

    def __init__(self, database: DatabaseService) -> None:
        self._database = database
        self._waiting: dict[asyncio.Future[Standing], UUID] = {}
        self._task: asyncio.Task[None] | None = None

    async def next(self, job_id: UUID) -> Standing:
        """Return the job's standing, read within ``EVERY_S``.

        Raises ``NotFoundError``, ``ServiceUnavailableError``.
        """
        answer: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = job_id
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_until_idle())
        try:
            return await answer
        finally:
            self._waiting.pop(answer, None)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for answer in self._waiting:  # the task may have been cancelled before its first step
            answer.cancel()

    async def _read_until_idle(self) -> None:
        """Read until no caller waits. Every exit resolves all waiting calls."""
        batch = dict[asyncio.Future["Standing"], UUID]()
        try:
            while self._waiting:
                await asyncio.sleep(EVERY_S)
                batch, self._waiting = self._waiting, {}
                await self._read(batch)
        except BaseException:
            for answer in (*batch, *self._waiting):
                answer.cancel()
            raise

    async def _read(self, batch: Mapping[asyncio.Future[Standing], UUID]) -> None:
        try:
            async with self._database.transaction() as tx:
                standings = await tx.jobs.standings(list(batch.values()))
        except Exception as error:  # noqa: BLE001 - the waiting calls get the error
            for answer in batch:
                _fail_reads(answer, error)
            return
        for answer, job_id in batch.items():
            if job_id not in standings:
                _fail_reads(answer, NotFoundError(Message.of(DatabaseCode.JOB_GONE)))
            elif not answer.done():
                answer.set_result(standings[job_id])


def _fail_reads(answer: asyncio.Future[Standing], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
