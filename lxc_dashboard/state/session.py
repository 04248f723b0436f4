"""The signed-in user in the frame of every page."""

from __future__ import annotations

from dataclasses import dataclass

import reflex as rx

from lxc_dashboard import routes
from lxc_dashboard.services.auth import endpoints, sign_in
from lxc_dashboard.state.guard import caller, requires


@dataclass(frozen=True)
class OtherEndpoint:
    """Another endpoint to sign in to. ``href``: its sign-in page."""

    name: str
    href: str


class SessionState(rx.State):
    """The head and foot of the sidebar. ``others`` is empty where only one endpoint is registered."""

    userid: str = ""
    endpoint_name: str = ""
    others: list[OtherEndpoint] = []

    @requires()
    async def enter(self) -> None:
        """The first handler of every page."""
        current = caller().session
        if current is not None:
            self.userid = current.userid
            self.endpoint_name = current.endpoint_name
            found = await endpoints.others(caller().runtime, current)
            self.others = [OtherEndpoint(other.name, routes.sign_in_at(other.id)) for other in found]

    @requires(unattended=True)
    async def verify(self) -> None:
        """End the session if PVE refuses its ticket. All its pages then go to the sign-in page."""
        current = caller().session
        if current is not None:
            await sign_in.verify(caller().runtime, current)
