"""All containers that the user may see, live. ``guest_table.js`` draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import reflex as rx
from reflex_base.components.component import field
from reflex_base.utils.imports import ImportDict

from lxc_dashboard import routes, text
from lxc_dashboard.components.controls import icon, link_button
from lxc_dashboard.components.list_parts import FeedTable
from lxc_dashboard.components.scripts import script
from lxc_dashboard.pages.shell import page
from lxc_dashboard.services.auth.privileges import CONSOLE_PRIVILEGE
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.state.containers.container_list import ContainersState
from lxc_dashboard.state.containers.feed import FeedState

_GUEST_TABLE = script(__name__, "guest_table.js")
_NEEDS: Final = {"console": [CONSOLE_PRIVILEGE], **{power.value: list(power.act.needs) for power in Power}}


def _act_arguments(
    vmid: rx.Var[int], node: rx.Var[str], name: rx.Var[str], action: rx.Var[str]
) -> tuple[rx.Var[int], rx.Var[str], rx.Var[str], rx.Var[str]]:
    return vmid, node, name, action


# For mypy, Reflex's annotation of an event trigger is a value.
if TYPE_CHECKING:
    Acting = rx.EventHandler
else:
    Acting = rx.EventHandler[_act_arguments]


class GuestTable(FeedTable):
    """A windowed table. ``needs``: for each action, the privileges that enable its button."""

    library = _GUEST_TABLE
    tag = "GuestTable"

    console_url: rx.Var[str] = field()
    needs: rx.Var[dict[str, list[str]]] = field()
    on_act: Acting = field()

    def add_imports(self) -> ImportDict:
        """Load the script with the page, not after its hydration."""
        return {"": _GUEST_TABLE}


def _new_container() -> rx.Component:
    return link_button(text.NEW_CONTAINER, routes.CREATE, kind="primary")


@page(routes.CONTAINERS, text.NAV_CONTAINERS, actions=_new_container)
def containers() -> rx.Component:
    """The table. The browser preloads its snapshot while the scripts load."""
    return rx.fragment(
        rx.el.link(rel="preload", href=routes.FEED, cross_origin="anonymous", custom_attrs={"as": "fetch"}),
        GuestTable.create(
            icon("circle-alert", 20),
            words=dict(text.GUEST_WORDS),
            needs=_NEEDS,
            snapshot_url=routes.FEED,
            console_url=routes.console("{vmid}"),
            patch=FeedState.patch,
            on_act=ContainersState.act,
            on_watch=FeedState.watch,
            on_leave=FeedState.leave,
        ),
    )
