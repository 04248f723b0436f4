"""The live list's way to the browsers: patches to a room of sockets, each encoded once.

No browser's state is loaded for a patch: it goes out as the delta of a var that no handler ever sets.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.base import caller, requires, session


class FeedState(rx.State):
    """``patch`` is the newest patch of the room; the table on the page merges it."""

    patch: dict[str, Any] = {}

    @requires(unattended=True)
    async def watch(self, v: int) -> None:
        """Send this socket every change from now on, beginning with those since version ``v`` of the snapshot."""
        sid = self.router.session.session_id
        room = caller().hub.watch(session(), sid)
        await caller().sockets.enter(sid, room)
        for patch in caller().hub.since(room, v):
            await caller().sockets.push(sid, update_of(patch))

    @requires(unattended=True)
    async def leave(self) -> None:
        """The list is not looked at any more."""
        sid = self.router.session.session_id
        for room in caller().hub.unwatch(sid):
            await caller().sockets.quit(sid, room)


def update_of(patch: dict[str, Any]) -> StateUpdate:
    """A patch as Reflex's frontend takes it."""
    return StateUpdate(delta={FeedState.get_full_name(): {f"patch{FIELD_MARKER}": patch}})
