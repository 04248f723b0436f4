"""What runs at the endpoint, and the status of the feed, in the frame of every page."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.base import caller, requires, session
from lxc_dashboard.state.jobs.hubs import Shown


class RunningState(rx.State):
    """No handler sets ``now`` and ``feed``: ``RunningHub`` pushes them to all pages of the user."""

    now: dict[str, Any] = {}
    feed: dict[str, Any] = {}

    @requires(unattended=True)
    async def watch(self) -> None:
        """Push to this socket what runs, and the status of the feed."""
        await caller().process.running_now.watch(session(), self.router.session.session_id)

    @requires(unattended=True)
    async def leave(self) -> None:
        """The page is hidden or closed."""
        await caller().process.running_now.leave(session(), self.router.session.session_id)


def update_of(shown: Shown) -> StateUpdate:
    """The push of what runs."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"now{FIELD_MARKER}": shown}})


def feed_update_of(status: dict[str, Any]) -> StateUpdate:
    """The push of ``status_of`` a feed."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"feed{FIELD_MARKER}": status}})
