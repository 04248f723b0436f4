"""Reads the standing of all jobs of a process in one query a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    from lxc_dashboard.db.database import DatabaseService
    from lxc_dashboard.db.repositories.jobs import Standing

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
                _fail(answer, error)
            return
        for answer, job_id in batch.items():
            if job_id not in standings:
                _fail(answer, NotFoundError(Message.of(DatabaseCode.JOB_GONE)))
            elif not answer.done():
                answer.set_result(standings[job_id])


def _fail(answer: asyncio.Future[Standing], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
