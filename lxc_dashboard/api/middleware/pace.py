"""How much of a stranger's or a user's sending is taken at a time: what comes faster waits in his own connection, not in our memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from starlette.types import Message, Receive, Send

# A page that sends a script of 1 MiB with each pause of its typing stays below both.
BURST_BYTES: Final = 16 << 20
BYTES_PER_S: Final = 4 << 20
BURST_MESSAGES: Final = 1000
MESSAGES_PER_S: Final = 100
REMEMBERED: Final = 1000
# A sign-in form and a webhook are small: who takes longer holds one of the server's places and nothing else.
OPEN_BODY_S: Final = 15.0
SILENT_BODY_S: Final = 30.0
# A page answers a ping each 25 s. Reflex itself would wait 145 s for it.
SILENT_PAGE_S: Final = 60.0
# Engine.IO would wait for its writer without end.
UNREAD_S: Final = 30.0

RECEIVED: Final = "websocket.receive"
# Of Engine.IO, which the pages speak: what begins otherwise it cannot read, and fails.
PAGE_MESSAGES: Final = frozenset("0123456")
GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009


class Bucket:
    """Holds ``burst``, fills by ``per_s``. ``spend`` says how long to wait until what was taken is there."""

    def __init__(self, burst: int, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._left, self._at = float(burst), clock()

    def spend(self, amount: int) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - amount
        self._at = now
        return max(0.0, -self._left / self._per_s)


class Allowance:
    """What the sockets of one session may send together."""

    def __init__(self) -> None:
        self._bytes = Bucket(BURST_BYTES, BYTES_PER_S)
        self._messages = Bucket(BURST_MESSAGES, MESSAGES_PER_S)

    def spend(self, size: int) -> float:
        return max(self._bytes.spend(size), self._messages.spend(1))


class Allowances:
    """By session, also across its sockets' ends; the longest unused is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, Allowance] = OrderedDict()

    def of(self, session_id: UUID) -> Allowance:
        found = self._known.setdefault(session_id, Allowance())
        self._known.move_to_end(session_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found


def paced(
    receive: Receive, allowance: Allowance, *, most_bytes: int, binary: bool, silent_s: float = SILENT_PAGE_S
) -> Receive:
    """A websocket's messages at the pace of ``allowance``; one that is too large, or where none may be ``binary`` no page's, ends it.

    So does a page that says nothing for ``silent_s``. A console may be silent for hours.

    Binary messages are gathered in memory by the server of the pages until as many came as the first had promised.
    """

    async def receive_paced() -> Message:
        try:
            async with asyncio.timeout(None if binary else silent_s):
                message = await receive()
        except TimeoutError:
            return _ended(GOING_AWAY)
        if message["type"] != RECEIVED:
            return message
        data, text = message.get("bytes"), message.get("text")
        size = len(data or text or "")
        if not binary and (data is not None or (text or "")[:1] not in PAGE_MESSAGES):
            return _ended(UNSUPPORTED)
        if size > most_bytes:
            return _ended(TOO_BIG)
        if wait_s := allowance.spend(size):
            await asyncio.sleep(wait_s)
        return message

    return receive_paced


def read_in_time(receive: Receive, send: Send, *, within_s: float = UNREAD_S) -> tuple[Receive, Send]:
    """The two ends of a websocket, which ends when the browser does not read what is sent for ``within_s``.

    ``send`` then raises ``OSError``, as after a disconnect, and ``receive`` tells the disconnect.
    """
    is_stalled = False
    receiving: asyncio.Timeout | None = None

    async def send_in_time(message: Message) -> None:
        nonlocal is_stalled
        if is_stalled:
            raise OSError("the browser does not read")
        try:
            async with asyncio.timeout(within_s):
                await send(message)
        except TimeoutError:
            is_stalled = True
            if receiving is not None:
                receiving.reschedule(asyncio.get_running_loop().time())
            raise OSError("the browser does not read") from None

    async def receive_until_stalled() -> Message:
        nonlocal receiving
        if is_stalled:
            return _ended(GOING_AWAY)
        try:
            async with asyncio.timeout(None) as receiving:
                return await receive()
        except TimeoutError:
            return _ended(GOING_AWAY)
        finally:
            receiving = None

    return receive_until_stalled, send_in_time


def _ended(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code}


def patient(receive: Receive, *, silent_s: float = SILENT_BODY_S, whole_s: float | None = None) -> Receive:
    """A request's body, given up where nothing comes for ``silent_s``, or not all of it within ``whole_s``."""
    until = None if whole_s is None else time.monotonic() + whole_s
    over = False

    async def receive_patiently() -> Message:
        nonlocal over
        if over:
            return await receive()
        wait_s = silent_s if until is None else min(silent_s, until - time.monotonic())
        try:
            async with asyncio.timeout(wait_s):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        over = not message.get("more_body", False)
        return message

    return receive_patiently
