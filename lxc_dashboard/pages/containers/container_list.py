"""All containers that the user may see, live."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.controls import link_button
from lxc_dashboard.pages.containers.guest_table import guest_table
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.containers.container_list import ContainersState
from lxc_dashboard.state.containers.feed import FeedState


def _new_container() -> rx.Component:
    return link_button(text.NEW_CONTAINER, routes.CREATE, kind="primary")


@page(routes.CONTAINERS, text.NAV_CONTAINERS, actions=_new_container)
def containers() -> rx.Component:
    """The table fetches its snapshot by itself and is told of changes while it is shown."""
    return guest_table(
        snapshot_url=routes.FEED,
        console_url=routes.console("{vmid}"),
        patch=FeedState.patch,
        on_act=ContainersState.act,
        on_watch=FeedState.watch,
        on_leave=FeedState.leave,
    )
