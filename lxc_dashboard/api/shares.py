"""How much one session, or one API token, may hold of this process at a time."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs
from uuid import UUID, uuid4

from starlette.types import Scope

from lxc_dashboard import routes
from lxc_dashboard.errors import TooManyAtOnceError

STREAMS: Final = 250
EXPORTS: Final = 2
EXPORTS_WAITING: Final = 20
# Each may be as large in memory as a file of a template may be.
UPLOADS: Final = 4
UPLOADS_WAITING: Final = 20
SOCKETS: Final = 250
# A program that asks for a hundred containers at once is served in turns.
REQUESTS: Final = 8
REQUESTS_WAITING: Final = 200
REQUEST_WITHIN_S: Final = 30.0
# A tab's state is kept for an hour after its last use, whether the tab is still there or not.
NEW_TABS: Final = 2000
STATE_KEPT_S: Final = 3600.0
REMEMBERED: Final = 1000
_UPLOAD: Final = re.compile(rf"{routes.TEMPLATE_IMPORT}|{routes.DRAFTS}/[^/]+/files")
_STREAM: Final = re.compile(rf"{routes.CREATIONS}/[^/]+/(events|log\.txt)|{routes.API_CREATIONS}/[^/]+/log")


@dataclass(slots=True)
class _Row:
    free: asyncio.Semaphore
    users: int = 0


class Places:
    """``most`` at once for each caller; ``waiting`` others wait for up to ``within_s``. ``what``: of what, in a sentence."""

    def __init__(self, what: str, most: int, *, waiting: int = 0, within_s: float | None = None) -> None:
        self._what, self._most, self._waiting, self._within_s = what, most, waiting, within_s
        self._rows: dict[UUID, _Row] = {}

    @asynccontextmanager
    async def taken(self, who: UUID) -> AsyncIterator[None]:
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


@dataclass(slots=True)
class _Tabs:
    """``made``: when each state came to be, by its tab. ``live``: how many sockets each tab has."""

    made: dict[str, float] = field(default_factory=dict)
    live: Counter[str] = field(default_factory=Counter)


class Tabs:
    """How many states of tabs one session may have made: one for each new tab, and for each that comes while it is there."""

    def __init__(self, most: int = NEW_TABS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._known: OrderedDict[UUID, _Tabs] = OrderedDict()

    @contextmanager
    def opened(self, who: UUID, token: str) -> Iterator[None]:
        """As long as the tab's socket is open. Raises ``TooManyAtOnceError``."""
        tabs = self._of(who)
        tab = hashlib.sha256(token.encode(errors="replace")).hexdigest()
        tabs.made = {each: at for each, at in tabs.made.items() if at > self._clock() - STATE_KEPT_S}
        if tab not in tabs.made or tabs.live[tab]:
            if len(tabs.made) >= self._most:
                raise TooManyAtOnceError("new tabs an hour", self._most)
            tabs.made[uuid4().hex if tab in tabs.made else tab] = self._clock()
        tabs.live[tab] += 1
        try:
            yield
        finally:
            tabs.live[tab] -= 1
            if not tabs.live[tab]:
                del tabs.live[tab]

    def _of(self, who: UUID) -> _Tabs:
        found = self._known.setdefault(who, _Tabs())
        self._known.move_to_end(who)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found


class Shares:
    """One per process."""

    def __init__(self) -> None:
        self._streams = Places("open logs", STREAMS)
        self._exports = Places("exports under way", EXPORTS, waiting=EXPORTS_WAITING, within_s=REQUEST_WITHIN_S)
        self._uploads = Places("uploads under way", UPLOADS, waiting=UPLOADS_WAITING, within_s=REQUEST_WITHIN_S)
        self._requests = Places("requests under way", REQUESTS, waiting=REQUESTS_WAITING, within_s=REQUEST_WITHIN_S)
        self._sockets = Places("open tabs and consoles", SOCKETS)
        self._tabs = Tabs()

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
    async def socket(self, scope: Scope, who: UUID) -> AsyncIterator[None]:
        """What a websocket holds while it is open. Raises as ``request``."""
        async with self._sockets.taken(who):
            if scope["path"].startswith(f"{routes.CONSOLE_SOCKET}/"):
                yield
                return
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            with self._tabs.opened(who, query.get("token", [""])[0]):
                yield
