"""The log of a job over HTTP: by line number, searched, whole, and as a stream of events. And the credentials of a creation, one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
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
from lxc_dashboard.api.door import asked_for
from lxc_dashboard.api.leaving import unless_left
from lxc_dashboard.api.log_lines import in_words
from lxc_dashboard.errors import DashboardError, InvalidInputError, NotFoundError, SessionExpiredError
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.creation import credentials
from lxc_dashboard.services.jobs import log as job_log
from lxc_dashboard.services.jobs import service, watch
from lxc_dashboard.services.jobs.lines import LogLine, Span, lines_of, plain, spans_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.events import ProgressEvent

log = structlog.get_logger(__name__)

NO_STORE: Final = {"Cache-Control": "no-store"}
LOOKED_EVERY_S: Final = 3.0
SILENT_AT_MOST_S: Final = 15.0
CLIENT_LEFT: Final = 499  # as others log it; nobody reads it
RETRY_MS: Final = 1000
# Of a run that prints faster than anybody reads the newest lines are sent; the page fetches others where it shows them.
LINES_PER_EVENT: Final = 200
NAME_CHARS: Final = 255
END: Final = b"event: end\ndata: {}\n\n"
SIGNED_OUT: Final = b"event: signed-out\ndata: {}\n\n"
LAST: Final = frozenset({END, SIGNED_OUT})
# The browser comes again at once, with a session whose ticket is fresh.
STREAM_LIFETIME_S: Final = 1800.0


class Line(msgspec.Struct, frozen=True):
    """A line as the page's script shows it."""

    seq: int
    at: datetime
    type: str
    phase: str
    script: str
    text: str


def creation_routes() -> list[Route]:
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
    rt, session, job_id = asked_for(request, "job_id")
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
    rt, session, job_id = asked_for(request, "job_id")
    after = _number(request.query_params.get("after", ""), 0)
    searching = job_log.search(rt, session, job_id, request.query_params.get("q", ""), text.in_words, after=after)
    found = await unless_left(request, searching)
    return Response(status_code=CLIENT_LEFT) if found is None else _json(found)


async def phases(request: Request) -> Response:
    """``{spans: [[phase, first, last]]}``."""
    rt, session, job_id = asked_for(request, "job_id")
    return _json({"spans": _spans(await job_log.spans(rt, session, job_id))})


async def download(request: Request) -> Response:
    """All of it as a text file."""
    rt, session, job_id = asked_for(request, "job_id")
    pieces = await job_log.whole(rt, session, job_id)  # a refusal comes before the answer begins
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
    rt, session, job_id = asked_for(request, "job_id")
    return _json({"values": await credentials.reveal(rt, session, job_id, await _service(request))})


async def _service(request: Request) -> str:
    """Raises ``InvalidInputError`` for a form without a name, and for what is none."""
    try:
        async with request.form(max_files=0, max_fields=1) as form:
            name = form.get("name", "")
    except (MultiPartException, HTTPException) as error:
        raise InvalidInputError({"form": "is none that can be read"}) from error
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
        raise InvalidInputError({"name": "is missing"})
    return name


async def events(request: Request) -> Response:
    """``?after=``: server-sent events ``{lines, last, spans, changed}``, then ``end``.

    ``changed`` says that more than the log did: a phase, a percent, the result. ``signed-out`` ends it with the session.
    """
    rt, session, job_id = asked_for(request, "job_id")
    await service.visible(rt, session, job_id)  # refused before the answer begins
    after = _number(request.query_params.get("after", ""), 0)
    after = max(after, _number(request.headers.get("last-event-id", ""), 0))
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    stream = _Stream(rt, session, job_id)
    return StreamingResponse(stream.run(after), media_type="text/event-stream", headers=headers)


class _Sight(Enum):
    """What a look at the viewer and the job's row brought."""

    NONE = auto()
    SAME = auto()
    MOVED = auto()


class _Stream:
    """One viewer's events, as long as he may see them."""

    def __init__(self, rt: Runtime, session: Session, job_id: UUID) -> None:
        self._rt = rt
        self._session = session
        self._id = job_id
        self._percent = -1
        self._standing: tuple[Any, ...] | None = None

    async def run(self, after: int) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MS
        until = time.monotonic() + STREAM_LIFETIME_S
        following = watch.watch(self._rt, self._id, after)
        coming = asyncio.ensure_future(anext(following, None))
        looking = asyncio.ensure_future(self._look(0.0))
        try:
            while time.monotonic() < until:
                both = {coming, looking}
                done, _ = await asyncio.wait(both, timeout=SILENT_AT_MOST_S, return_when=asyncio.FIRST_COMPLETED)
                messages = [] if done else [b": still here\n\n"]
                if looking in done:
                    messages.append(self._sighted(looking.result()))
                    looking = asyncio.ensure_future(self._look(LOOKED_EVERY_S))
                if coming in done:
                    messages.append(self._told(coming.result()))
                    coming = asyncio.ensure_future(anext(following, None))
                for message in filter(None, messages):
                    yield message
                    if message in LAST:
                        return
        finally:
            for task in (coming, looking):
                task.cancel()
            await asyncio.gather(coming, looking, return_exceptions=True)
            await following.aclose()

    async def _look(self, delay_s: float) -> _Sight:
        """Whether he may still see it, and whether it stands otherwise though nothing was told: a ticket was taken from it,
        somebody asked to cancel it. Who cannot be asked about stays: that nothing answers is no end of a session.
        """
        await asyncio.sleep(delay_s)
        try:
            if not await sessions.is_open(self._rt, self._session.key):
                return _Sight.NONE
            view = await service.get_job(self._rt, self._session, self._id)
        except (SessionExpiredError, NotFoundError):
            return _Sight.NONE
        except DashboardError as error:
            log.info("viewer not looked at", why=str(error))
            return _Sight.SAME
        before, self._standing = self._standing, (view.state, view.exists)
        # At first, too: the page was read before the stream began.
        return _Sight.SAME if before == self._standing else _Sight.MOVED

    def _sighted(self, sight: _Sight) -> bytes:
        if sight is _Sight.NONE:
            return SIGNED_OUT
        return self._event([]) if sight is _Sight.MOVED else b""

    def _told(self, batch: list[ProgressEvent] | None) -> bytes:
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


def _lines(lines: Iterable[LogLine]) -> list[Line]:
    return [Line(x.seq, x.at, x.type, x.phase, x.script, x.text) for x in in_words(lines)]


def _spans(spans: tuple[Span, ...]) -> list[tuple[str, int, int]]:
    return [(span.phase, span.first, span.last) for span in spans]


def _number(value: str, default: int) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else default  # noqa: PLR2004 fits a bigint


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=NO_STORE)
