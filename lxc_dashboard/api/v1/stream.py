"""The log of a run, line by line, as long as PVE lets the caller see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.api.v1.answers import End, Line
from lxc_dashboard.errors import (
    DashboardError,
    NotFoundError,
    PrivilegeError,
    ServiceUnavailableError,
    SessionExpiredError,
    TokenRefusedError,
)
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.creation import log as job_log
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.lines import LogLine, in_turns, lines_of, plain
from lxc_dashboard.services.jobs.follow import DATABASE_AWAY_S, follow

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

LOOKED_EVERY_S: Final = 10.0
_LOST: Final = (NotFoundError, PrivilegeError, SessionExpiredError, TokenRefusedError)


class LogStream:
    """For one who was let see the run. A blank line says, while nothing is printed, that the connection is alive."""

    def __init__(self, rt: Runtime, session: Session, job_id: UUID) -> None:
        self._rt = rt
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
            await service.require_visible(self._rt, self._session, self._id)
        except _LOST as error:
            return error
        except DashboardError as error:
            log.info("reader not looked at", why=str(error))
        return None

    async def _end(self) -> bytes:
        """A PVE that is away takes nothing from the caller, and PostgreSQL is waited for, as by the log."""
        try:
            await service.require_visible(self._rt, self._session, self._id)
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
    return b"".join(_json(Line(x.seq, x.at, x.type, x.phase, x.script, plain(x.text))) for x in lines)


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"
