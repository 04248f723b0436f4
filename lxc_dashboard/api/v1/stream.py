"""The log of a job as NDJSON, while the caller may see the job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from lxc_dashboard.api.job_log import in_words
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.v1.answers import End, Line
from lxc_dashboard.api.v1.parameters import flag, number
from lxc_dashboard.errors import (
    DashboardError,
    NotFoundError,
    PrivilegeError,
    ServiceUnavailableError,
    SessionExpiredError,
    TokenRefusedError,
)
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.jobs.events import log as job_log
from lxc_dashboard.services.jobs.events.follow import DATABASE_AWAY_S, follow
from lxc_dashboard.services.jobs.events.lines import LogLine, in_turns, lines_of, plain

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 10.0
SEQ_MAX: Final = 2**63 - 1
NDJSON: Final = "application/x-ndjson"
_NOT_VISIBLE: Final = (NotFoundError, PrivilegeError, SessionExpiredError, TokenRefusedError)


CheckVisible = Callable[[], Awaitable[object]]


async def log_of(
    request: Request, rt: Runtime, session: Session, job_id: UUID, check_visible: CheckVisible
) -> Response:
    """``?after=&follow=true|false``: the lines after number ``after`` as NDJSON, then an ``End``.

    ``check_visible``: as in ``LogStream``.
    """
    after = number(request, "after", 0, least=0, most=SEQ_MAX)
    follows = flag(request, "follow", default=True)
    await check_visible()  # raises before the response starts: later there is no status
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type=NDJSON, headers=headers)
    stream = LogStream(rt, session, job_id, check_visible)
    lines = stream.follow(after) if follows else stream.stored(after)
    return StreamingResponse(lines, media_type=NDJSON, headers=headers)


class LogStream:
    """The log for one caller. ``check_visible`` raises once the caller may not see the job.

    Blank lines keep the connection alive while the job prints nothing.
    """

    def __init__(self, rt: Runtime, session: Session, job_id: UUID, check_visible: CheckVisible) -> None:
        self._rt = rt
        self._check_visible = check_visible
        self._session = session
        self._id = job_id

    async def stored(self, after: int) -> AsyncIterator[bytes]:
        """The stored lines after number ``after``, then ``End``."""
        try:
            async for lines in job_log.stored(self._rt, self._id, after):
                yield _written(lines)
        except DashboardError as error:
            yield _early_end(error)
            return
        yield await self._end()

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """The stored and new lines after ``after`` until the job ends or is no longer visible, then ``End``."""
        following = follow(self._rt, self._id, after)
        next_batch = asyncio.ensure_future(anext(following, None))
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        try:
            while True:
                done, _ = await asyncio.wait({next_batch}, timeout=CHECK_EVERY_S)
                if loop.time() - checked_at >= CHECK_EVERY_S:
                    checked_at = loop.time()
                    if (error := await self._visibility_error()) is not None:
                        yield _early_end(error)
                        return
                    yield b"\n"
                if done:
                    batch = next_batch.result()
                    if batch is None:
                        break
                    for group in in_turns(batch):
                        yield _written(lines_of(group, group[0].seq, group[-1].last))
                        await asyncio.sleep(0)
                    next_batch = asyncio.ensure_future(anext(following, None))
        except DashboardError as error:
            yield _early_end(error)
            return
        finally:
            next_batch.cancel()
            await asyncio.gather(next_batch, return_exceptions=True)
            await following.aclose()
        yield await self._end()

    async def _visibility_error(self) -> DashboardError | None:
        """Why the caller may no longer see the job; None while PVE does not answer."""
        try:
            await tokens.verify(self._rt, self._session)
            await self._check_visible()
        except _NOT_VISIBLE as error:
            return error
        except DashboardError as error:
            log.info("reader not checked", why=str(error))
        return None

    async def _end(self) -> bytes:
        """The last object. Waits for PostgreSQL, and does not need PVE's answer."""
        try:
            await self._check_visible()
        except _NOT_VISIBLE as error:
            return _early_end(error)
        except DashboardError as error:
            log.info("reader not checked", why=str(error))
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    return _json(End((await tx.jobs.get(self._id)).state))
            except NotFoundError as error:
                return _early_end(error)
            except ServiceUnavailableError:
                await asyncio.sleep(DATABASE_AWAY_S)


def _early_end(error: DashboardError) -> bytes:
    """``End`` with the error's message, because the status is already sent."""
    log.info("log ended early", why=str(error))
    return _json(End("", error.user_message))


def _written(lines: Iterable[LogLine]) -> bytes:
    return b"".join(
        _json(Line(x.seq, x.at, x.type, x.phase, x.script, plain(x.text), x.code, x.params)) for x in in_words(lines)
    )


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"
