"""The log of a job by line number: a page, its end, matching lines, or the whole log in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.services.jobs import service
from lxc_dashboard.services.jobs.events.lines import (
    LINE_CHARS,
    LogLine,
    Span,
    Words,
    in_turns,
    lines_of,
    lines_with,
)

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

LINES_AT_ONCE: Final = 1000
MATCHES_AT_MOST: Final = 1000
QUERY_CHARS: Final = 200
# Each row holds up to 500 lines, or 64 KiB.
SEARCHED_ROWS_AT_ONCE: Final = 20
SEARCHED_ROWS_AT_MOST: Final = MATCHES_AT_MOST
READ_ROWS_AT_ONCE: Final = 20
READ_BYTES_AT_ONCE: Final = 1024 * 1024
DOWNLOADED_LINE_CHARS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogPage:
    """``last`` is the number of the log's newest line."""

    lines: tuple[LogLine, ...]
    last: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The numbers of matching lines. ``more``: there may be others. ``last`` as in ``LogPage``."""

    seqs: tuple[int, ...]
    more: bool
    last: int


async def page(rt: Runtime, session: Session, job_id: UUID, *, after: int, limit: int) -> LogPage:
    """Up to ``limit`` lines after number ``after``. Raises NotFoundError, PrivilegeError."""
    await service.visible(rt, session, job_id)
    return await page_of(rt, job_id, after=max(0, after), limit=_within(limit))


async def tail(rt: Runtime, session: Session, job_id: UUID, *, limit: int) -> LogPage:
    """The last lines. Raises NotFoundError, PrivilegeError."""
    await service.visible(rt, session, job_id)
    async with rt.db.transaction() as tx:
        last = await tx.events.last_seq(job_id)
    return await page_of(rt, job_id, after=max(0, last - _within(limit)), limit=_within(limit))


async def page_of(rt: Runtime, job_id: UUID, *, after: int, limit: int) -> LogPage:
    """``page`` for a caller that has checked whether the user may see the job. Reads long lines a few at a time."""
    async with rt.db.transaction() as tx:
        last = await tx.events.last_seq(job_id)
    at, until = after + 1, min(after + limit, last)
    found: list[LogLine] = []
    while at <= until:
        async with rt.db.transaction() as tx:
            rows = await tx.events.between(job_id, at, until, most_bytes=READ_BYTES_AT_ONCE)
        found += lines_of(rows, at, until)
        at = rows[-1].seq + rows[-1].lines if rows else until + 1
        await asyncio.sleep(0)
    return LogPage(tuple(found), last)


async def spans(rt: Runtime, session: Session, job_id: UUID) -> tuple[Span, ...]:
    """The phases of the log, in order, with the numbers of their lines. Raises NotFoundError, PrivilegeError."""
    await service.visible(rt, session, job_id)
    async with rt.db.transaction() as tx:
        return tuple(Span(*found) for found in await tx.events.phase_spans(job_id))


async def search(rt: Runtime, session: Session, job_id: UUID, query: str, words: Words, *, after: int = 0) -> Matches:
    """The lines after number ``after`` that contain ``query`` in any case. Raises NotFoundError, PrivilegeError.

    ``more`` is also set if the search stopped early, because too many rows matched only in text that is not shown.
    """
    await service.visible(rt, session, job_id)
    wanted = query[:QUERY_CHARS]
    async with rt.db.transaction() as tx:
        last = await tx.events.last_seq(job_id)
    found: list[int] = []
    at = after
    for _ in range(SEARCHED_ROWS_AT_MOST // SEARCHED_ROWS_AT_ONCE + 1):
        if not wanted or at >= last or len(found) > MATCHES_AT_MOST:
            break
        async with rt.db.transaction() as tx:
            rows = await tx.events.containing(job_id, wanted, SEARCHED_ROWS_AT_ONCE, after=at)
        for row in rows:
            found += lines_with(row, wanted, after + 1, last, words)
            await asyncio.sleep(0)
        at = rows[-1].seq + rows[-1].lines - 1 if len(rows) == SEARCHED_ROWS_AT_ONCE else last
    return Matches(tuple(found[:MATCHES_AT_MOST]), len(found) > MATCHES_AT_MOST or (bool(wanted) and at < last), last)


async def whole(rt: Runtime, session: Session, job_id: UUID) -> AsyncIterator[tuple[LogLine, ...]]:
    """The whole log, piece by piece. Errors are raised before the first piece."""
    await service.visible(rt, session, job_id)
    return stored(rt, job_id, 0, chars=DOWNLOADED_LINE_CHARS)


async def stored(
    rt: Runtime, job_id: UUID, after: int, *, chars: int = LINE_CHARS
) -> AsyncIterator[tuple[LogLine, ...]]:
    """The lines after number ``after``, a few hundred at a time. The caller checks whether the user may see the job."""
    while True:
        async with rt.db.transaction() as tx:
            rows = await tx.events.after(job_id, after, READ_ROWS_AT_ONCE)
        for group in in_turns(rows):
            yield lines_of(group, after + 1, group[-1].seq + group[-1].lines - 1, chars=chars)
            await asyncio.sleep(0)
        if len(rows) < READ_ROWS_AT_ONCE:
            return
        after = rows[-1].seq + rows[-1].lines - 1


def _within(limit: int) -> int:
    return min(max(1, limit), LINES_AT_ONCE)
