"""The log of a creation by line number, however long it is: a page of it, its end, what matches, or all of it piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.lines import LogLine, Span, lines_of, plain

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

LINES_AT_ONCE: Final = 1000
MATCHES_AT_MOST: Final = 1000
QUERY_CHARS: Final = 200
SEARCHED_ROWS_AT_ONCE: Final = 50
DOWNLOADED_AT_ONCE: Final = 2_000
DOWNLOADED_LINE_CHARS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogPage:
    """``last`` is the number of the newest line that there is."""

    lines: tuple[LogLine, ...]
    last: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The numbers of lines that hold what was searched; ``more`` says that there are others. ``last`` as ``LogPage``'s."""

    seqs: tuple[int, ...]
    more: bool
    last: int


async def page(rt: Runtime, session: Session, creation_id: UUID, *, after: int, limit: int) -> LogPage:
    """Up to ``limit`` lines after number ``after``. Raises NotFoundError, PrivilegeError."""
    await service.get_job(rt, session, creation_id)
    return await page_of(rt, creation_id, after=max(0, after), limit=_within(limit))


async def tail(rt: Runtime, session: Session, creation_id: UUID, *, limit: int) -> LogPage:
    """The last lines. Raises NotFoundError, PrivilegeError."""
    await service.get_job(rt, session, creation_id)
    async with rt.db.transaction() as tx:
        last = await tx.creations.last_seq(creation_id)
    return await page_of(rt, creation_id, after=max(0, last - _within(limit)), limit=_within(limit))


async def page_of(rt: Runtime, creation_id: UUID, *, after: int, limit: int, chars: int | None = None) -> LogPage:
    """``page`` for a caller that has checked whether its user may see this."""
    async with rt.db.transaction() as tx:
        rows = await tx.creations.events_between(creation_id, after + 1, after + limit)
        last = await tx.creations.last_seq(creation_id)
    cut = {} if chars is None else {"chars": chars}
    return LogPage(lines_of(rows, after + 1, after + limit, **cut), last)


async def spans(rt: Runtime, session: Session, creation_id: UUID) -> tuple[Span, ...]:
    """Which lines are of which phase, in order. Raises NotFoundError, PrivilegeError."""
    await service.get_job(rt, session, creation_id)
    async with rt.db.transaction() as tx:
        return tuple(Span(*found) for found in await tx.creations.phase_spans(creation_id))


async def search(rt: Runtime, session: Session, creation_id: UUID, query: str, *, after: int = 0) -> Matches:
    """The lines after number ``after`` that hold ``query``, whatever its case. Raises NotFoundError, PrivilegeError."""
    await service.get_job(rt, session, creation_id)
    wanted = query[:QUERY_CHARS]
    async with rt.db.transaction() as tx:
        last = await tx.creations.last_seq(creation_id)
    found: list[int] = []
    at = after
    while wanted and at < last and len(found) <= MATCHES_AT_MOST:
        async with rt.db.transaction() as tx:
            rows = await tx.creations.events_with(creation_id, wanted, SEARCHED_ROWS_AT_ONCE, after=at)
        lines = lines_of(rows, after + 1, last)
        found += [line.seq for line in lines if wanted.lower() in plain(line.text).lower()]
        if len(rows) < SEARCHED_ROWS_AT_ONCE:
            break
        at = rows[-1].seq + rows[-1].lines - 1
    return Matches(tuple(found[:MATCHES_AT_MOST]), len(found) > MATCHES_AT_MOST, last)


async def whole(rt: Runtime, session: Session, creation_id: UUID) -> AsyncIterator[bytes]:
    """All of it as text, piece by piece. What raises does so before the first piece."""
    await service.get_job(rt, session, creation_id)
    return _pieces(rt, creation_id)


async def _pieces(rt: Runtime, creation_id: UUID) -> AsyncIterator[bytes]:
    after = 0
    while True:
        found = await page_of(rt, creation_id, after=after, limit=DOWNLOADED_AT_ONCE, chars=DOWNLOADED_LINE_CHARS)
        if not found.lines:
            return
        after = found.lines[-1].seq
        yield "".join(_written(line) for line in found.lines).encode()


def _written(line: LogLine) -> str:
    at = line.at.isoformat(timespec="milliseconds")
    return f"{at} {line.phase:<10} {line.script or '-'} {plain(line.text)}\n"


def _within(limit: int) -> int:
    return min(max(1, limit), LINES_AT_ONCE)
