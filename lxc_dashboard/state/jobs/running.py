"""What runs at the endpoint, and how old what is known of it is, for the frame of every page."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.base import caller, requires, session
from lxc_dashboard.state.jobs.running_rows import Shown


class RunningState(rx.State):
    """``now`` and ``feed`` are never set here: the hub pushes them to all pages of the user."""

    now: dict[str, Any] = {}
    feed: dict[str, Any] = {}

    @requires(unattended=True)
    async def watch(self) -> None:
        """From now on this socket is told what runs, and of each look at PVE."""
        await caller().process.running_now.watch(session(), self.router.session.session_id)

    @requires(unattended=True)
    async def leave(self) -> None:
        """The page is not looked at any more."""
        await caller().process.running_now.leave(session(), self.router.session.session_id)


def update_of(shown: Shown) -> StateUpdate:
    """A push as Reflex's frontend takes it."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"now{FIELD_MARKER}": shown}})


def feed_update_of(status: dict[str, Any]) -> StateUpdate:
    """A push of ``status.status_of``."""
    return StateUpdate(delta={RunningState.get_full_name(): {f"feed{FIELD_MARKER}": status}})
