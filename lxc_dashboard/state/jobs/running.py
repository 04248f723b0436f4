"""Running jobs and tasks at the endpoint, and the status of the feed, in the frame of every page."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.base import caller, requires, session
from lxc_dashboard.state.jobs.hubs import Shown


class RunningState(rx.State):
    """``RunningHub`` pushes ``now`` and ``feed`` to all pages of the user. No handler sets them."""

    now: dict[str, Any] = {}
    feed: dict[str, Any] = {}

    @requires(unattended=True)
    async def watch(self) -> None:
        """Push running jobs and the status of the feed to this socket."""
        await caller().process.running_now.watch(session(), self.router.session.session_id)

    @requires(unattended=True)
    async def leave(self) -> None:
        """Stop pushing: the page is hidden or closed."""
        await caller().process.running_now.leave(session(), self.router.session.session_id)


def update_of(shown: Shown) -> StateUpdate:
    """The update that pushes running jobs."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"now{FIELD_MARKER}": shown}})


def feed_update_of(status: dict[str, Any]) -> StateUpdate:
    """The update that pushes a feed's status."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"feed{FIELD_MARKER}": status}})
