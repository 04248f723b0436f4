"""The states of tabs in this process: whose each is, and how long it outlives its tab's socket.

A tab that loses its connection for less than ``KEPT_S`` finds its state as it was. After that its page is filled anew: what
was typed in the wizard and the editor is then read from their drafts.
"""

from __future__ import annotations

import asyncio
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

    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

KEPT_S: Final = 45.0
KEPT_PER_USER: Final = 100
LOOK_S: Final = 2.0


class StateOwner(rx.State):
    """Whose state this tab's is. It has no handler and sends nothing."""

    _session_id: str = ""
    _user: str = ""

    def _give_to(self, session: Session | None) -> None:
        self._session_id = str(session.id) if session else ""
        self._user = f"{session.endpoint_id} {session.userid}" if session else ""


class Tabs:
    """One per web process. Forgets the state of a tab ``KEPT_S`` after its socket closed, of one user's beyond ``KEPT_PER_USER`` at once.

    Reflex itself would keep each for an hour.
    """

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._closed: dict[str, float] = {}  # since when, by client token; the last closed stands last

    async def follow(self) -> None:
        """Runs as long as the process."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.sweep()
            except Exception:
                log.exception("states of closed tabs not forgotten")

    def sweep(self) -> None:
        """Look once at all states of this process."""
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
                self._forget(token)

    def _user_of(self, token: str) -> str:
        """Empty for a tab that has not asked for anything yet."""
        owner = self._manager.states[token].get_substate(StateOwner.get_full_name().split("."))
        return str(owner._user)  # noqa: SLF001 -- a var that is not sent to the browser

    def _forget(self, token: str) -> None:
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
