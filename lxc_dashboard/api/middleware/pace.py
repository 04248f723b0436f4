"""How fast a client may send, and how long it may be silent. What comes faster waits in the client's connection, not in memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from starlette.types import Message, Receive, Send

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
    """Allowances by session. They outlive the session's websockets; the least recently used goes first."""

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

    async def receive_at_rate() -> Message:
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

    async def send_in_time(message: Message) -> None:
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

    async def receive_until_stalled() -> Message:
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


def _disconnect(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code}


def limit_body_time(receive: Receive, *, silent_s: float = SILENT_BODY_S, whole_s: float | None = None) -> Receive:
    """Receive a request's body; disconnect when nothing comes for ``silent_s``, or not all of it within ``whole_s``."""
    until = None if whole_s is None else time.monotonic() + whole_s
    is_complete = False

    async def receive_in_time() -> Message:
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
