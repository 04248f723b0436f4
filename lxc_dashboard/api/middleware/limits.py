"""How many streams, uploads, sockets and requests one session or API token may hold in this process at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard import routes
from lxc_dashboard.errors import ErrorCode, TooManyAtOnceError
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    from lxc_dashboard.services.auth.model import Session

STREAMS: Final = 250
EXPORTS: Final = 2
EXPORTS_WAITING: Final = 20
# Each holds up to one template file in memory.
UPLOADS: Final = 4
UPLOADS_WAITING: Final = 20
# The state of a tab takes about 80 KiB.
SOCKETS: Final = 250
SOCKETS_PER_USER: Final = 500
# API requests of one token at once; more of them wait.
REQUESTS: Final = 8
REQUESTS_WAITING: Final = 200
WAIT_AT_MOST_S: Final = 30.0
_UPLOAD: Final = re.compile(rf"{routes.TEMPLATE_IMPORT}|{routes.DRAFTS}/[^/]+/files")
_STREAM: Final = re.compile(
    rf"{routes.CREATIONS}/[^/]+/(events|log\.txt)|({routes.API_CREATIONS}|{routes.API_JOBS})/[^/]+/log"
)


@dataclass(slots=True)
class _Slots:
    free: asyncio.Semaphore
    users: int = 0


class Limit:
    """At most ``most`` holders a caller; ``waiting`` more wait for up to ``within_s``. ``code`` is of its error."""

    def __init__(self, most: int, *, code: ErrorCode, waiting: int = 0, within_s: float | None = None) -> None:
        self._most, self._waiting, self._within_s = most, waiting, within_s
        self.code = code
        self._slots: dict[Hashable, _Slots] = {}

    @asynccontextmanager
    async def hold(self, caller: Hashable) -> AsyncIterator[None]:
        """Raises ``TooManyAtOnceError``."""
        slots = self._slots.setdefault(caller, _Slots(asyncio.Semaphore(self._most)))
        if slots.users >= self._most + self._waiting:
            raise TooManyAtOnceError(Message.of(self.code, most=self._most))
        slots.users += 1
        try:
            await self._wait(slots.free)
            try:
                yield
            finally:
                slots.free.release()
        finally:
            slots.users -= 1
            if not slots.users:
                del self._slots[caller]

    async def _wait(self, free: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                await free.acquire()
        except TimeoutError:
            raise TooManyAtOnceError(Message.of(self.code, most=self._most)) from None


class Limits:
    """All limits of one process."""

    def __init__(self) -> None:
        self._streams = Limit(STREAMS, code=ErrorCode.TOO_MANY_LOGS)
        self._exports = Limit(
            EXPORTS, code=ErrorCode.TOO_MANY_EXPORTS, waiting=EXPORTS_WAITING, within_s=WAIT_AT_MOST_S
        )
        self._uploads = Limit(
            UPLOADS, code=ErrorCode.TOO_MANY_UPLOADS, waiting=UPLOADS_WAITING, within_s=WAIT_AT_MOST_S
        )
        self._requests = Limit(
            REQUESTS, code=ErrorCode.TOO_MANY_REQUESTS, waiting=REQUESTS_WAITING, within_s=WAIT_AT_MOST_S
        )
        self._sockets = Limit(SOCKETS, code=ErrorCode.TOO_MANY_SOCKETS)
        self._user_sockets = Limit(SOCKETS_PER_USER, code=ErrorCode.TOO_MANY_USER_SOCKETS)

    def request(self, path: str, caller: UUID | None) -> AbstractAsyncContextManager[None]:
        """Hold what the request at ``path`` needs until its response ends. Entering raises ``TooManyAtOnceError``."""
        if caller is None:
            return nullcontext()
        if _STREAM.fullmatch(path):
            return self._streams.hold(caller)
        if path == routes.TEMPLATE_EXPORT:
            return self._exports.hold(caller)
        if _UPLOAD.fullmatch(path):
            return self._uploads.hold(caller)
        return self._requests.hold(caller) if path.startswith(f"{routes.API_V1}/") else nullcontext()

    @asynccontextmanager
    async def socket(self, session: Session) -> AsyncIterator[None]:
        """Hold a websocket's place while it is open. Entering raises ``TooManyAtOnceError``."""
        async with self._user_sockets.hold((session.endpoint_id, session.userid)), self._sockets.hold(session.id):
            yield
