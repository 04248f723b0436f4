"""How fast a client may send, and how much one session or API token may hold in this process at a time.

Data that comes faster waits in the client's connection, not in memory. Streams, exports, uploads, sockets and requests
count as held.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Send

from lxc_dashboard import routes
from lxc_dashboard.errors import ErrorCode, TooManyAtOnceError
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    from lxc_dashboard.services.auth.model import Session


# An editor that sends a script of 1 MiB at each pause in typing stays below both limits.
BURST_BYTES: Final = 16 << 20
BYTES_PER_S: Final = 4 << 20
BURST_MESSAGES: Final = 1000
MESSAGES_PER_S: Final = 100
ALLOWANCES_KEPT: Final = 1000
# Bodies of public paths (sign-in, webhooks) are small.
PUBLIC_BODY_S: Final = 15.0
SILENT_BODY_S: Final = 30.0
# A page answers a ping every 25 s. Reflex itself waits 145 s.
SILENT_PAGE_S: Final = 60.0
# Engine.IO waits for its writer without a timeout.
UNREAD_S: Final = 30.0

RECEIVED: Final = "websocket.receive"
# Types of Engine.IO messages. Engine.IO fails on any other first character.
PAGE_MESSAGES: Final = frozenset("0123456")
GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009


class Bucket:
    """A token bucket of ``burst`` tokens that refills by ``per_s``. ``spend`` returns how many seconds to wait."""

    def __init__(self, burst: int, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._left, self._at = float(burst), clock()

    def spend(self, amount: int) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - amount
        self._at = now
        return max(0.0, -self._left / self._per_s)


class Allowance:
    """What all websockets of one session may send together."""

    def __init__(self) -> None:
        self._bytes = Bucket(BURST_BYTES, BYTES_PER_S)
        self._messages = Bucket(BURST_MESSAGES, MESSAGES_PER_S)

    def spend(self, size: int) -> float:
        return max(self._bytes.spend(size), self._messages.spend(1))


class Allowances:
    """Allowances by session, which outlive its websockets. The least recently used one is dropped first."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, Allowance] = OrderedDict()

    def of(self, session_id: UUID) -> Allowance:
        found = self._known.setdefault(session_id, Allowance())
        self._known.move_to_end(session_id)
        if len(self._known) > ALLOWANCES_KEPT:
            self._known.popitem(last=False)
        return found


def limit_rate(
    receive: Receive, allowance: Allowance, *, max_bytes: int, binary: bool, silent_s: float = SILENT_PAGE_S
) -> Receive:
    """Receive a websocket's messages at the rate of ``allowance``. A message over ``max_bytes`` ends the websocket.

    With ``binary`` (a console), messages may be of any kind and the client may be silent for hours. Without it (a page),
    silence for ``silent_s`` and every message that is not Engine.IO text end the websocket: the page server would collect
    binary messages in memory without a bound.
    """

    async def receive_at_rate() -> AsgiMessage:
        try:
            async with asyncio.timeout(None if binary else silent_s):
                message = await receive()
        except TimeoutError:
            return _disconnect(GOING_AWAY)
        if message["type"] != RECEIVED:
            return message
        data, text = message.get("bytes"), message.get("text")
        size = len(data or text or "")
        if not binary and (data is not None or (text or "")[:1] not in PAGE_MESSAGES):
            return _disconnect(UNSUPPORTED)
        if size > max_bytes:
            return _disconnect(TOO_BIG)
        if wait_s := allowance.spend(size):
            await asyncio.sleep(wait_s)
        return message

    return receive_at_rate


def limit_unread(receive: Receive, send: Send, *, within_s: float = UNREAD_S) -> tuple[Receive, Send]:
    """End a websocket when its browser does not read for ``within_s``.

    ``send`` then raises ``OSError``, as after a disconnect, and ``receive`` returns the disconnect.
    """
    is_stalled = False
    receiving: asyncio.Timeout | None = None

    async def send_in_time(message: AsgiMessage) -> None:
        nonlocal is_stalled
        if is_stalled:
            raise BrokenPipeError
        try:
            async with asyncio.timeout(within_s):
                await send(message)
        except TimeoutError:
            is_stalled = True
            if receiving is not None:
                receiving.reschedule(asyncio.get_running_loop().time())
            raise BrokenPipeError from None

    async def receive_until_stalled() -> AsgiMessage:
        nonlocal receiving
        if is_stalled:
            return _disconnect(GOING_AWAY)
        try:
            async with asyncio.timeout(None) as receiving:
                return await receive()
        except TimeoutError:
            return _disconnect(GOING_AWAY)
        finally:
            receiving = None

    return receive_until_stalled, send_in_time


def _disconnect(code: int) -> AsgiMessage:
    return {"type": "websocket.disconnect", "code": code}


def limit_body_time(receive: Receive, *, silent_s: float = SILENT_BODY_S, whole_s: float | None = None) -> Receive:
    """Receive a request's body; disconnect when nothing comes for ``silent_s``, or not all of it within ``whole_s``."""
    until = None if whole_s is None else time.monotonic() + whole_s
    is_complete = False

    async def receive_in_time() -> AsgiMessage:
        nonlocal is_complete
        if is_complete:
            return await receive()
        wait_s = silent_s if until is None else min(silent_s, until - time.monotonic())
        try:
            async with asyncio.timeout(wait_s):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        is_complete = not message.get("more_body", False)
        return message

    return receive_in_time


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
    """At most ``most`` holders per caller; ``waiting`` more wait for up to ``within_s``. ``code``: of the error."""

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
        """Hold a place for the request at ``path`` until its response ends. Entering raises ``TooManyAtOnceError``."""
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
