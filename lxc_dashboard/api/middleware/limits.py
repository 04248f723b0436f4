"""How much one session, or one API token, may hold of this process at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard import routes
from lxc_dashboard.errors import TooManyAtOnceError

if TYPE_CHECKING:
    from lxc_dashboard.services.auth.model import Session

STREAMS: Final = 250
EXPORTS: Final = 2
EXPORTS_WAITING: Final = 20
# Each may be as large in memory as a file of a template may be.
UPLOADS: Final = 4
UPLOADS_WAITING: Final = 20
# Each tab's state takes about 80 KiB.
SOCKETS: Final = 250
SOCKETS_PER_USER: Final = 500
# A program that asks for a hundred containers at once is served in turns.
REQUESTS: Final = 8
REQUESTS_WAITING: Final = 200
REQUEST_WITHIN_S: Final = 30.0
_UPLOAD: Final = re.compile(rf"{routes.TEMPLATE_IMPORT}|{routes.DRAFTS}/[^/]+/files")
_STREAM: Final = re.compile(
    rf"{routes.CREATIONS}/[^/]+/(events|log\.txt)|({routes.API_CREATIONS}|{routes.API_JOBS})/[^/]+/log"
)


@dataclass(slots=True)
class _Row:
    free: asyncio.Semaphore
    users: int = 0


class Places:
    """``most`` at once for each caller; ``waiting`` others wait for up to ``within_s``. ``what``: of what, in a sentence."""

    def __init__(self, what: str, most: int, *, waiting: int = 0, within_s: float | None = None) -> None:
        self._what, self._most, self._waiting, self._within_s = what, most, waiting, within_s
        self._rows: dict[Hashable, _Row] = {}

    @asynccontextmanager
    async def taken(self, who: Hashable) -> AsyncIterator[None]:
        """Raises ``TooManyAtOnceError``."""
        row = self._rows.setdefault(who, _Row(asyncio.Semaphore(self._most)))
        if row.users >= self._most + self._waiting:
            raise TooManyAtOnceError(self._what, self._most)
        row.users += 1
        try:
            await self._wait(row.free)
            try:
                yield
            finally:
                row.free.release()
        finally:
            row.users -= 1
            if not row.users:
                del self._rows[who]

    async def _wait(self, free: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                await free.acquire()
        except TimeoutError:
            raise TooManyAtOnceError(self._what, self._most) from None


class Shares:
    """One per process."""

    def __init__(self) -> None:
        self._streams = Places("open logs", STREAMS)
        self._exports = Places("exports under way", EXPORTS, waiting=EXPORTS_WAITING, within_s=REQUEST_WITHIN_S)
        self._uploads = Places("uploads under way", UPLOADS, waiting=UPLOADS_WAITING, within_s=REQUEST_WITHIN_S)
        self._requests = Places("requests under way", REQUESTS, waiting=REQUESTS_WAITING, within_s=REQUEST_WITHIN_S)
        self._sockets = Places("open tabs and consoles", SOCKETS)
        self._user_sockets = Places("open tabs and consoles in all your sessions", SOCKETS_PER_USER)

    def request(self, path: str, who: UUID | None) -> AbstractAsyncContextManager[None]:
        """What a request holds until its answer has ended. Raises ``TooManyAtOnceError`` where it is entered."""
        if who is None:
            return nullcontext()
        if _STREAM.fullmatch(path):
            return self._streams.taken(who)
        if path == routes.TEMPLATE_EXPORT:
            return self._exports.taken(who)
        if _UPLOAD.fullmatch(path):
            return self._uploads.taken(who)
        return self._requests.taken(who) if path.startswith(f"{routes.API_V1}/") else nullcontext()

    @asynccontextmanager
    async def socket(self, session: Session) -> AsyncIterator[None]:
        """What a websocket holds while it is open. Raises as ``request``."""
        async with self._user_sockets.taken((session.endpoint_id, session.userid)), self._sockets.taken(session.id):
            yield
