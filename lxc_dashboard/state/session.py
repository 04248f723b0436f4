"""Who is signed in, for the frame of every page."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard.services.auth import sign_in
from lxc_dashboard.state.guard import caller, requires


class SessionState(rx.State):
    """Fills the sidebar's foot and head."""

    userid: str = ""
    endpoint_name: str = ""

    @requires()
    async def enter(self) -> None:
        """The first handler of every page."""
        current = caller().session
        if current is not None:
            self.userid = current.userid
            self.endpoint_name = current.endpoint_name

    @requires(unattended=True)
    async def verify(self) -> None:
        """Ends the session where PVE takes its ticket no more; all its pages are then led to the sign-in page."""
        current = caller().session
        if current is not None:
            await sign_in.verify(caller().runtime, current)
