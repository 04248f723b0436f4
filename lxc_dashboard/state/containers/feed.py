"""Sends the feed to browsers: each patch is encoded once and pushed to a room of sockets.

A push does not load the states of tabs: it is the delta of a var that no handler sets.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.base import caller, requires, session


class FeedState(rx.State):
    """``patch`` is the newest patch of the room. The table on the page merges it."""

    patch: dict[str, Any] = {}

    @requires(unattended=True)
    async def watch(self, v: int) -> None:
        """Push every patch after version ``v`` of the snapshot to this socket."""
        sid = self.router.session.session_id
        room = caller().hub.watch(session(), sid)
        await caller().sockets.enter(sid, room)
        for patch in caller().hub.since(room, v):
            await caller().sockets.push(sid, update_of(patch))

    @requires(unattended=True)
    async def leave(self) -> None:
        """Stop pushing: the list is hidden or closed."""
        sid = self.router.session.session_id
        for room in caller().hub.unwatch(sid):
            await caller().sockets.quit(sid, room)


def update_of(patch: dict[str, Any]) -> StateUpdate:
    """The update that pushes a patch."""
    return StateUpdate(delta={FeedState.get_full_name(): {f"patch{FIELD_MARKER}": patch}})
