"""The log of a job over HTTP: pages of lines, search, download and server-sent events. Also the credentials of a creation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.request import session_and_id, until_disconnect
from lxc_dashboard.errors import DashboardError, InvalidInputError, NotFoundError, SessionExpiredError
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.creation import credentials
from lxc_dashboard.services.jobs import service
from lxc_dashboard.services.jobs.events import follow
from lxc_dashboard.services.jobs.events import log as job_log
from lxc_dashboard.services.jobs.events.lines import LINE_CHARS, LogLine, Span, lines_of, plain, shown, spans_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.events.lines import ProgressEvent

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 3.0
KEEPALIVE_AFTER_S: Final = 15.0
CLIENT_CLOSED_REQUEST: Final = 499
RETRY_MS: Final = 1000
# A fast job sends its newest lines only; the page fetches the others when it shows them.
LINES_PER_EVENT: Final = 200
NAME_CHARS: Final = 255
END: Final = b"event: end\ndata: {}\n\n"
SIGNED_OUT: Final = b"event: signed-out\ndata: {}\n\n"
LAST: Final = frozenset({END, SIGNED_OUT})
# The browser reconnects at once, and the session's ticket is renewed.
STREAM_LIFETIME_S: Final = 1800.0


class Line(msgspec.Struct, frozen=True):
    """A line as the page's script shows it."""

    seq: int
    at: datetime
    type: str
    phase: str
    script: str
    text: str


def job_log_routes() -> list[Route]:
    base = f"{routes.CREATIONS}/{{job_id}}"
    return [
        Route(f"{base}/log", lines, methods=["GET"]),
        Route(f"{base}/log/search", search, methods=["GET"]),
        Route(f"{base}/log/phases", phases, methods=["GET"]),
        Route(f"{base}/log.txt", download, methods=["GET"]),
        Route(f"{base}/events", events, methods=["GET"]),
        Route(f"{base}/credentials", reveal, methods=["POST"]),
    ]


async def lines(request: Request) -> Response:
    """``?after=&limit=`` or ``?tail=``: ``{lines, last}``."""
    rt, session, job_id = session_and_id(request, "job_id")
    if "tail" in request.query_params:
        limit = _number(request.query_params.get("tail", ""), job_log.LINES_AT_ONCE)
        found = await job_log.tail(rt, session, job_id, limit=limit)
    else:
        after = _number(request.query_params.get("after", ""), 0)
        limit = _number(request.query_params.get("limit", ""), job_log.LINES_AT_ONCE)
        found = await job_log.page(rt, session, job_id, after=after, limit=limit)
    return _json({"lines": _lines(found.lines), "last": found.last})


async def search(request: Request) -> Response:
    """``?q=&after=``: ``{seqs, more, last}``."""
    rt, session, job_id = session_and_id(request, "job_id")
    after = _number(request.query_params.get("after", ""), 0)
    searching = job_log.search(rt, session, job_id, request.query_params.get("q", ""), text.in_words, after=after)
    found = await until_disconnect(request, searching)
    return Response(status_code=CLIENT_CLOSED_REQUEST) if found is None else _json(found)


async def phases(request: Request) -> Response:
    """``{spans: [[phase, first, last]]}``."""
    rt, session, job_id = session_and_id(request, "job_id")
    return _json({"spans": _spans(await job_log.spans(rt, session, job_id))})


async def download(request: Request) -> Response:
    """The whole log as a text file."""
    rt, session, job_id = session_and_id(request, "job_id")
    pieces = await job_log.whole(rt, session, job_id)  # raises before the response starts
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="job-{job_id}.log"'}
    return StreamingResponse(_file(pieces), media_type="text/plain; charset=utf-8", headers=headers)


async def _file(pieces: AsyncIterator[tuple[LogLine, ...]]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield "".join(map(_written, in_words(piece, chars=job_log.DOWNLOADED_LINE_CHARS))).encode()


def _written(line: LogLine) -> str:
    at = line.at.isoformat(timespec="milliseconds")
    return f"{at} {line.phase:<10} {line.script or '-'} {plain(line.text)}\n"


async def reveal(request: Request) -> Response:
    """Form field ``name``: ``{values: {key: secret}}``."""
    rt, session, job_id = session_and_id(request, "job_id")
    return _json({"values": await credentials.reveal(rt, session, job_id, await _service(request))})


async def _service(request: Request) -> str:
    """The service's name. Raises ``InvalidInputError`` for an invalid form or name."""
    try:
        async with request.form(max_files=0, max_fields=1) as form:
            name = form.get("name", "")
    except (MultiPartException, HTTPException) as error:
        raise InvalidInputError({"form": text.FORM_UNREADABLE}) from error
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
        raise InvalidInputError({"name": text.FIELD_MISSING})
    return name


async def events(request: Request) -> Response:
    """``?after=``: server-sent events ``{lines, last, spans, changed}``, then ``end``.

    ``changed`` means that the job's state, phase, percent or result changed too. ``signed-out`` ends the stream with the session.
    """
    rt, session, job_id = session_and_id(request, "job_id")
    await service.visible(rt, session, job_id)  # raises before the response starts
    after = _number(request.query_params.get("after", ""), 0)
    after = max(after, _number(request.headers.get("last-event-id", ""), 0))
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    stream = _Stream(rt, session, job_id)
    return StreamingResponse(stream.run(after), media_type="text/event-stream", headers=headers)


class _JobCheck(Enum):
    """The result of a check of the viewer's session and the job's row."""

    NOT_VISIBLE = auto()
    UNCHANGED = auto()
    CHANGED = auto()


class _Stream:
    """The events of one viewer, while the session may see the job."""

    def __init__(self, rt: Runtime, session: Session, job_id: UUID) -> None:
        self._rt = rt
        self._session = session
        self._id = job_id
        self._percent = -1
        self._state: tuple[Any, ...] | None = None

    async def run(self, after: int) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MS
        until = time.monotonic() + STREAM_LIFETIME_S
        following = follow.watch(self._rt, self._id, after)
        next_batch = asyncio.ensure_future(anext(following, None))
        check = asyncio.ensure_future(self._check(0.0))
        try:
            while time.monotonic() < until:
                tasks = {next_batch, check}
                done, _ = await asyncio.wait(tasks, timeout=KEEPALIVE_AFTER_S, return_when=asyncio.FIRST_COMPLETED)
                messages = [] if done else [b": keepalive\n\n"]
                if check in done:
                    messages.append(self._event_of_check(check.result()))
                    check = asyncio.ensure_future(self._check(CHECK_EVERY_S))
                if next_batch in done:
                    messages.append(self._event_of_batch(next_batch.result()))
                    next_batch = asyncio.ensure_future(anext(following, None))
                for message in filter(None, messages):
                    yield message
                    if message in LAST:
                        return
        finally:
            for task in (next_batch, check):
                task.cancel()
            await asyncio.gather(next_batch, check, return_exceptions=True)
            await following.aclose()

    async def _check(self, delay_s: float) -> _JobCheck:
        """Check that the viewer may still see the job, and whether its row changed without an event.

        A lost ticket or a cancel request changes the row only. If PVE or a service does not answer, the stream goes on.
        """
        await asyncio.sleep(delay_s)
        try:
            if not await sessions.is_open(self._rt, self._session.key):
                return _JobCheck.NOT_VISIBLE
            view = await service.get_job(self._rt, self._session, self._id)
        except (SessionExpiredError, NotFoundError):
            return _JobCheck.NOT_VISIBLE
        except DashboardError as error:
            log.info("viewer not checked", why=str(error))
            return _JobCheck.UNCHANGED
        before, self._state = self._state, (view.state, view.exists)
        # The first check counts as a change: the page was read before the stream began.
        return _JobCheck.UNCHANGED if before == self._state else _JobCheck.CHANGED

    def _event_of_check(self, check: _JobCheck) -> bytes:
        if check is _JobCheck.NOT_VISIBLE:
            return SIGNED_OUT
        return self._event([]) if check is _JobCheck.CHANGED else b""

    def _event_of_batch(self, batch: list[ProgressEvent] | None) -> bytes:
        return END if batch is None else self._event(batch)

    def _event(self, batch: list[ProgressEvent]) -> bytes:
        last = batch[-1].last if batch else 0
        found = lines_of(batch, last - LINES_PER_EVENT + 1, last)
        percent = batch[-1].percent if batch else self._percent
        changed = not batch or percent != self._percent or any(event.type != "log" for event in batch)
        self._percent = percent
        body = {"lines": _lines(found), "last": last, "spans": _spans(spans_of(batch)), "changed": changed}
        number = b"id: %d\n" % last if last else b""
        return number + b"data: %s\n\n" % msgspec.json.encode(body)


def in_words(lines: Iterable[LogLine], *, chars: int = LINE_CHARS) -> Iterator[LogLine]:
    """Fill in the text of lines that have a code, cut to ``chars``."""
    for line in lines:
        yield replace(line, text=shown(text.in_words(line.code, line.params), chars)) if line.code else line


def _lines(lines: Iterable[LogLine]) -> list[Line]:
    return [Line(x.seq, x.at, x.type, x.phase, x.script, x.text) for x in in_words(lines)]


def _spans(spans: tuple[Span, ...]) -> list[tuple[str, int, int]]:
    return [(span.phase, span.first, span.last) for span in spans]


def _number(value: str, default: int) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else default  # noqa: PLR2004 - fits a bigint


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=NO_STORE)
