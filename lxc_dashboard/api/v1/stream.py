"""The log of a run, line by line, as long as PVE lets the caller see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from lxc_dashboard.api.log_lines import in_words
from lxc_dashboard.api.v1.answers import NO_STORE, End, Line
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
from lxc_dashboard.services.jobs import log as job_log
from lxc_dashboard.services.jobs.follow import DATABASE_AWAY_S, follow
from lxc_dashboard.services.jobs.lines import LogLine, in_turns, lines_of, plain

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

LOOKED_EVERY_S: Final = 10.0
SEQ_MAX: Final = 2**63 - 1
NDJSON: Final = "application/x-ndjson"
_LOST: Final = (NotFoundError, PrivilegeError, SessionExpiredError, TokenRefusedError)


Look = Callable[[], Awaitable[object]]


async def log_of(request: Request, rt: Runtime, session: Session, job_id: UUID, look: Look) -> Response:
    """``?after=&follow=true|false``: the lines after a number as NDJSON, the last object an ``End``. ``look``: see ``LogStream``."""
    after = number(request, "after", 0, least=0, most=SEQ_MAX)
    follows = flag(request, "follow", default=True)
    await look()  # a refusal needs a status, so it comes before the answer begins
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type=NDJSON, headers=headers)
    stream = LogStream(rt, session, job_id, look)
    lines = stream.follow(after) if follows else stream.stored(after)
    return StreamingResponse(lines, media_type=NDJSON, headers=headers)


class LogStream:
    """For one who was let see the run. ``look`` raises once the caller may not see it. A blank line says, while nothing is printed, that the connection is alive."""

    def __init__(self, rt: Runtime, session: Session, job_id: UUID, look: Look) -> None:
        self._rt = rt
        self._look = look
        self._session = session
        self._id = job_id

    async def stored(self, after: int) -> AsyncIterator[bytes]:
        """What there is after number ``after``."""
        try:
            async for lines in job_log.stored(self._rt, self._id, after):
                yield _written(lines)
        except DashboardError as error:
            yield _failed(error)
            return
        yield await self._end()

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """``stored``, then what comes, until the run has ended or may not be seen any more."""
        following = follow(self._rt, self._id, after)
        coming = asyncio.ensure_future(anext(following, None))
        loop = asyncio.get_running_loop()
        looked_at = loop.time()
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=LOOKED_EVERY_S)
                if loop.time() - looked_at >= LOOKED_EVERY_S:
                    looked_at = loop.time()
                    if (lost := await self._lost()) is not None:
                        yield _failed(lost)
                        return
                    yield b"\n"
                if done:
                    batch = coming.result()
                    if batch is None:
                        break
                    for group in in_turns(batch):
                        yield _written(lines_of(group, group[0].seq, group[-1].last))
                        await asyncio.sleep(0)
                    coming = asyncio.ensure_future(anext(following, None))
        except DashboardError as error:
            yield _failed(error)
            return
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await following.aclose()
        yield await self._end()

    async def _lost(self) -> DashboardError | None:
        """Why the caller may not see it any more. A PVE that is away takes nothing from him."""
        try:
            await tokens.verify(self._rt, self._session)
            await self._look()
        except _LOST as error:
            return error
        except DashboardError as error:
            log.info("reader not looked at", why=str(error))
        return None

    async def _end(self) -> bytes:
        """A PVE that is away takes nothing from the caller, and PostgreSQL is waited for, as by the log."""
        try:
            await self._look()
        except _LOST as error:
            return _failed(error)
        except DashboardError as error:
            log.info("reader not looked at", why=str(error))
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    return _json(End((await tx.jobs.get(self._id)).state))
            except NotFoundError as error:
                return _failed(error)
            except ServiceUnavailableError:
                await asyncio.sleep(DATABASE_AWAY_S)


def _failed(error: DashboardError) -> bytes:
    """The answer has begun: no status can tell any more."""
    log.info("log ended early", why=str(error))
    return _json(End("", error.user_message))


def _written(lines: Iterable[LogLine]) -> bytes:
    return b"".join(
        _json(Line(x.seq, x.at, x.type, x.phase, x.script, plain(x.text), x.code, x.params)) for x in in_words(lines)
    )


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"
