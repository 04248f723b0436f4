"""The events of jobs: steps and output. PostgreSQL numbers them while a lease is held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import EventType, JobEvent, now
from lxc_dashboard.db.models.base import storable, storable_text
from lxc_dashboard.db.repositories.leases import TAKEABLE, lease_gone

__all__ = ["Batch", "EventRepository", "NewEvent", "NumberedEvent", "StoredEvent", "lease_gone"]

SCRIPT_CHARS: Final = 255

# Plain SQL with one JSON argument, because twenty jobs at once send these statements many times a second. Building them
# each time, or PostgreSQL's arrays, would cost more than running them.
# Locks rows in the order of their ids, so that no two writers deadlock. The conditions are those of ``is_held_by``.
_HOLD: Final = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(%(given)s AS jsonb))
        AS given (id uuid, owner text, checkpoint jsonb, step text, percent integer)
), locked AS MATERIALIZED (
    SELECT id FROM job WHERE id IN (SELECT id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE job SET
    checkpoint = coalesce(given.checkpoint, job.checkpoint),
    step = coalesce(given.step, job.step),
    percent = coalesce(given.percent, job.percent)
FROM given JOIN locked ON locked.id = given.id
WHERE job.id = given.id
    AND job.lease_owner = given.owner
    AND job.lease_until > clock_timestamp()
    AND job.state = ANY(CAST(%(takeable)s AS text[]))
RETURNING job.id, job.lease_owner
"""
# A second statement has a new snapshot, which includes the last number of the previous holder of the lock.
# Stores events only of the jobs that ``_HOLD`` has changed. ``place``: the number of lines before it in the batch.
_STORE: Final = """
WITH event AS MATERIALIZED (
    SELECT event.* FROM jsonb_to_recordset(CAST(%(rows)s AS jsonb)) AS event (
        job_id uuid, owner text, place bigint, lines integer, type text, step text, percent integer, code text,
        params jsonb, message text, script text, script_index integer, script_total integer, at timestamptz
    ) JOIN job AS run ON run.id = event.job_id AND run.lease_owner = event.owner
    WHERE run.xmin = CAST(pg_current_xact_id() AS xid)
), next AS MATERIALIZED (
    SELECT run.id, coalesce(
        (SELECT seq + lines FROM job_event WHERE job_id = run.id ORDER BY seq DESC LIMIT 1), 1
    ) AS seq FROM (SELECT DISTINCT job_id AS id FROM event) AS run
)
INSERT INTO job_event
    (job_id, seq, lines, type, step, percent, code, params, message, script, script_index, script_total, at)
SELECT event.job_id, next.seq + event.place, event.lines, event.type, event.step, event.percent, event.code, event.params,
    event.message, event.script, event.script_index, event.script_total, event.at
FROM event JOIN next ON next.id = event.job_id
RETURNING job_id, seq
"""
# For a job that no worker holds and whose row is locked.
_ADD: Final = text("""
INSERT INTO job_event
    (job_id, seq, lines, type, step, percent, code, params, message, script, script_index, script_total, at)
SELECT event.job_id, coalesce(
        (SELECT seq + lines FROM job_event WHERE job_id = event.job_id ORDER BY seq DESC LIMIT 1), 1
    ), event.lines, event.type, event.step, event.percent, event.code, event.params, event.message, event.script,
    event.script_index, event.script_total, event.at
FROM jsonb_to_record(CAST(:row AS jsonb)) AS event (
    job_id uuid, lines integer, type text, step text, percent integer, code text, params jsonb, message text,
    script text, script_index integer, script_total integer, at timestamptz
)
""")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event without its number: a ``code`` with its ``params``, or a ``message``.

    ``message`` of a log chunk holds ``lines`` lines, each of which takes a number.
    """

    type: EventType
    step: str
    percent: int
    message: str = ""
    lines: int = 1
    script: str = ""
    script_index: int = 0
    script_total: int = 0
    at: datetime = field(default_factory=now)
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """A stored event: the columns of ``JobEvent`` by their names."""

    job_id: UUID
    seq: int
    lines: int
    type: str
    step: str
    percent: int
    message: str
    script: str
    script_index: int
    script_total: int
    at: datetime
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


StoredEvent = JobEvent | NumberedEvent


@dataclass(frozen=True, slots=True)
class Batch:
    """Events from the owner of a job. Without a ``checkpoint`` the job keeps its present one."""

    job_id: UUID
    owner: str
    events: Sequence[NewEvent]
    checkpoint: Mapping[str, Any] | None = None


async def append_unheld(session: AsyncSession, job_id: UUID, event: NewEvent) -> None:
    """Add an event to a job that no worker holds. This transaction must have locked its row."""
    row = next(_placed(Batch(job_id, "", (event,))))
    await (await session.connection()).execute(_ADD, {"row": _json(row)})


class EventRepository:
    """The events of jobs."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def append(
        self,
        job_id: UUID,
        owner: str,
        events: Sequence[NewEvent],
        *,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> Sequence[NumberedEvent]:
        """``append_batches`` for one job. Raises ``ConflictError`` where ``owner`` holds no live lease."""
        rows = (await self.append_batches([Batch(job_id, owner, events, checkpoint)]))[0]
        if rows is None:
            raise lease_gone(job_id, owner)
        return rows

    async def append_batches(self, batches: Sequence[Batch]) -> list[Sequence[NumberedEvent] | None]:
        """Store and number each batch's events, together with its checkpoint.

        Returns None for a batch whose owner holds no live lease. It is not stored; the others are. A job's step and
        percent become those of its last event. Numbers start at 1 and have no gaps.
        """
        told = [list(_placed(batch)) for batch in batches]
        held, first = await self._write(batches, [row for rows in told for row in rows])
        return [
            [_numbered(row, first) for row in rows] if (batch.job_id, batch.owner) in held else None
            for batch, rows in zip(batches, told, strict=True)
        ]

    async def after(self, job_id: UUID, seq: int, limit: int = 500) -> Sequence[JobEvent]:
        """Return rows with any line after number ``seq``, in order. A log chunk may also hold lines before."""
        number = col(JobEvent.seq)
        of_run = col(JobEvent.job_id) == job_id
        chunk_begin = select(func.max(number)).where(of_run, number <= seq).scalar_subquery()
        after = (of_run, number >= func.coalesce(chunk_begin, 0), number + col(JobEvent.lines) > seq + 1)
        return (await self._session.scalars(select(JobEvent).where(*after).order_by(number).limit(limit))).all()

    async def between(
        self, job_id: UUID, first: int, last: int, *, most_bytes: int | None = None
    ) -> Sequence[JobEvent]:
        """Return rows with any of the lines ``first`` to ``last``, in order.

        ``most_bytes``: stop after the row with which the messages reach this size. Pages may show less of a message.
        """
        number, message = col(JobEvent.seq), col(JobEvent.message)
        of_run = col(JobEvent.job_id) == job_id
        chunk_begin = select(func.max(number)).where(of_run, number <= first).scalar_subquery()
        within = [of_run, number >= func.coalesce(chunk_begin, 0), number <= last]
        if most_bytes is not None:
            own = func.octet_length(message)
            before = func.sum(own).over(order_by=number) - own
            sized = select(number.label("seq"), before.label("before")).where(*within).subquery()
            within = [of_run, number.in_(select(sized.c.seq).where(sized.c.before < most_bytes))]
        return (await self._session.scalars(select(JobEvent).where(*within).order_by(number))).all()

    async def containing(self, job_id: UUID, text: str, limit: int, *, after: int = 0) -> Sequence[JobEvent]:
        """Return rows that may show ``text``, with any line after number ``after``, in order.

        The message contains ``text``, ignoring case, or the row has a code, whose text is not stored.
        """
        number = col(JobEvent.seq)
        holds = col(JobEvent.message).icontains(storable_text(text), autoescape=True) | (col(JobEvent.code) != "")
        of_run = (col(JobEvent.job_id) == job_id, number + col(JobEvent.lines) > after + 1)
        wanted = select(JobEvent).where(*of_run, holds).order_by(number).limit(limit)
        return (await self._session.scalars(wanted)).all()

    async def told(self, job_id: UUID) -> Sequence[JobEvent]:
        """Return all events except output, in order: steps, warnings, errors and the end."""
        of_run = (col(JobEvent.job_id) == job_id, col(JobEvent.type) != EventType.LOG.value)
        return (await self._session.scalars(select(JobEvent).where(*of_run).order_by(col(JobEvent.seq)))).all()

    async def phase_spans(self, job_id: UUID) -> Sequence[tuple[str, int, int]]:
        """Return ``(phase, first line, last line)`` for each sequence of adjacent rows of one phase, in order."""
        number = col(JobEvent.seq)
        phase = col(JobEvent.step)
        of_run = col(JobEvent.job_id) == job_id
        # The two row numbers have one difference within a sequence, and another in the phase's next sequence.
        island = func.row_number().over(order_by=number) - func.row_number().over(partition_by=phase, order_by=number)
        last = number + col(JobEvent.lines) - 1
        rows = select(phase.label("phase"), number.label("first"), last.label("last"), island.label("island"))
        found = rows.where(of_run).subquery()
        first_line, last_line = func.min(found.c.first), func.max(found.c.last)
        spans = select(found.c.phase, first_line, last_line).group_by(found.c.phase, found.c.island)
        return [(row[0], row[1], row[2]) for row in await self._session.execute(spans.order_by(first_line))]

    async def last_seq(self, job_id: UUID) -> int:
        """The number of the last line, 0 where there is none."""
        last = (
            select(col(JobEvent.seq) + col(JobEvent.lines) - 1)
            .where(col(JobEvent.job_id) == job_id)
            .order_by(col(JobEvent.seq).desc())
            .limit(1)
        )
        return await self._session.scalar(last) or 0

    async def _write(
        self, batches: Sequence[Batch], rows: Sequence[Mapping[str, Any]]
    ) -> tuple[set[tuple[UUID, str]], dict[UUID, int]]:
        """Return the jobs with live leases and their owners, and the number of each job's first row.

        Locks the jobs' rows until the transaction ends, so that numbers have no gaps. Sends BEGIN and both statements
        to PostgreSQL together.
        """
        connection = (await (await self._session.connection()).get_raw_connection()).driver_connection
        assert isinstance(connection, AsyncConnection)  # noqa: S101 - the driver that ``db.engine`` chooses
        given = _json([_given(batch) for batch in batches])
        async with connection.pipeline():
            holding = await connection.execute(_HOLD, {"given": given, "takeable": list(TAKEABLE)})
            storing = await connection.execute(_STORE, {"rows": _json(rows)}) if rows else None
        held = {(row[0], row[1]) for row in await holding.fetchall()}
        first: dict[UUID, int] = {}
        for job_id, seq in await storing.fetchall() if storing is not None else ():
            first[job_id] = min(seq, first.get(job_id, seq))
        return held, first


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _given(batch: Batch) -> dict[str, Any]:
    given: dict[str, Any] = {"id": batch.job_id, "owner": batch.owner}
    if batch.events:
        given |= {"step": str(batch.events[-1].step), "percent": batch.events[-1].percent}
    if batch.checkpoint is not None:
        given["checkpoint"] = msgspec.Raw(_as_json(batch.checkpoint))
    return given


def _as_json(checkpoint: Mapping[str, Any]) -> bytes:
    """Encode the checkpoint. Cleans it only where PostgreSQL would refuse it, because cleaning is slow."""
    try:
        told = msgspec.json.encode(checkpoint)
    except UnicodeEncodeError:  # it holds a lone surrogate
        told = b"\\u0000"
    return msgspec.json.encode(storable(dict(checkpoint))) if b"\\u0000" in told else told


def _placed(batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield the columns of each event, ``owner``, and ``place``: the number of lines before it in the batch."""
    place = 0
    for event in batch.events:
        yield {
            "job_id": batch.job_id,
            "owner": batch.owner,
            "place": place,
            "lines": event.lines,
            "type": event.type.value,
            "step": str(event.step),
            "percent": event.percent,
            "code": event.code,
            "params": storable(dict(event.params)),
            "message": storable_text(event.message),
            "script": storable_text(event.script, SCRIPT_CHARS),
            "script_index": event.script_index,
            "script_total": event.script_total,
            "at": event.at,
        }
        place += event.lines


def _numbered(row: Mapping[str, Any], first: Mapping[UUID, int]) -> NumberedEvent:
    columns = {name: value for name, value in row.items() if name not in {"place", "owner"}}
    return NumberedEvent(seq=first[row["job_id"]] + row["place"], **columns)
