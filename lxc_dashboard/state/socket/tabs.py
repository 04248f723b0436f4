"""The states of tabs: the owner of each, how long it outlives the tab's socket, and its web process.

A tab that connects again within ``KEPT_S`` finds its state unchanged. Later its page is filled again. The wizard and the
editor then load the user's input from their drafts.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import reflex as rx
import structlog
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.token import BaseStateToken
from reflex.state import State

if TYPE_CHECKING:
    from reflex.app import App, EventNamespace

    from lxc_dashboard.bus import Bus
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

KEPT_S: Final = 45.0
KEPT_PER_USER: Final = 100
LOOK_S: Final = 2.0
# Longer than a process keeps the state of a tab that moved to another process: up to 60 s until it detects that the old
# socket is dead, then KEPT_S. Each new tab makes an entry in Valkey, so the entries must expire.
SEAT_KEPT_S: Final = 600.0


class StateOwner(rx.State):
    """The owner of this tab's state. It has no handler and sends nothing."""

    _session_id: str = ""
    _user: str = ""

    def _give_to(self, session: Session | None) -> None:
        self._session_id = str(session.id) if session else ""
        self._user = f"{session.endpoint_id} {session.userid}" if session else ""


class Tabs:
    """Drops the states of closed tabs, which Reflex itself would keep for an hour. One per web process.

    A state is dropped after ``KEPT_S``, or at once if its user has more than ``KEPT_PER_USER`` of them.
    """

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._closed: dict[str, float] = {}  # close time by client token, the last closed at the end

    async def follow(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.sweep()
            except Exception:
                log.exception("states of closed tabs not dropped")

    def sweep(self) -> None:
        """Check all states of this process once."""
        states = self._manager.states
        connected = set(self._namespace.sid_to_token.values())
        self._closed = {token: at for token, at in self._closed.items() if token in states and token not in connected}
        now = self._clock()
        for token in states.keys() - connected:
            self._closed.setdefault(token, now)
        kept: Counter[str] = Counter()
        for token, closed_at in reversed(self._closed.items()):
            user = self._user_of(token)
            kept[user] += 1
            if now - closed_at >= KEPT_S or kept[user] > KEPT_PER_USER:
                self._drop(token)

    def _user_of(self, token: str) -> str:
        """The user of a tab; empty if the tab has not sent an event yet."""
        owner = self._manager.states[token].get_substate(StateOwner.get_full_name().split("."))
        return str(owner._user)  # noqa: SLF001 -- a var that is not sent to the browser

    def _drop(self, token: str) -> None:
        manager = self._manager
        lock = manager._states_locks.get(token)  # noqa: SLF001 -- Reflex has no public way to end a state
        if lock is None or not lock.locked():
            manager._purge_token(BaseStateToken(ident=token, cls=State))  # noqa: SLF001

    @property
    def _manager(self) -> StateManagerMemory:
        manager = self._app.state_manager
        if not isinstance(manager, StateManagerMemory):
            raise TypeError("states of tabs are kept in memory")
        return manager

    @property
    def _namespace(self) -> EventNamespace:
        if self._app.event_namespace is None:
            raise RuntimeError("the app has no websocket")
        return self._app.event_namespace


class Seats:
    """Stores the web process of each tab in Valkey, since a tab's state never moves. One per web process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._process = secrets.token_bytes(8)

    async def take(self, token: str) -> bool:
        """Store that a tab connects here. Return True if it was last connected to another process.

        Then its state in this process is outdated. Raises ``ServiceUnavailableError``.
        """
        key = f"tab:{hashlib.sha256(token.encode()).hexdigest()}"
        before = await self._bus.swap(key, self._process, ttl_s=SEAT_KEPT_S)
        return before not in {None, self._process}
