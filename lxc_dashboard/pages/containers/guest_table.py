"""The live list of containers, drawn by ``guest_table.js``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field
from reflex_base.utils.imports import ImportDict

from lxc_dashboard import text
from lxc_dashboard.components.controls import icon
from lxc_dashboard.components.feed import NoArgs, OfVersion
from lxc_dashboard.components.scripts import script
from lxc_dashboard.services.auth.privileges import CONSOLE_PRIVILEGE
from lxc_dashboard.services.containers.power import Power

_GUEST_TABLE = script(__name__, "guest_table.js")
_NEEDS: Final = {"console": [CONSOLE_PRIVILEGE], **{power.value: list(power.act.needs) for power in Power}}


def _act_arguments(
    vmid: rx.Var[int], node: rx.Var[str], name: rx.Var[str], action: rx.Var[str]
) -> tuple[rx.Var[int], rx.Var[str], rx.Var[str], rx.Var[str]]:
    return vmid, node, name, action


# mypy takes Reflex's annotation of an event trigger for a value.
if TYPE_CHECKING:
    Acting = rx.EventHandler
else:
    Acting = rx.EventHandler[_act_arguments]


class GuestTable(NoSSRComponent):
    """A windowed table that merges ``patch`` into the rows of ``snapshot_url``. Its child is the icon of a failure.

    ``needs``: by action, the privileges without which its button is disabled.
    """

    library = _GUEST_TABLE
    tag = "GuestTable"

    snapshot_url: rx.Var[str] = field()
    console_url: rx.Var[str] = field()
    needs: rx.Var[dict[str, list[str]]] = field()
    patch: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()
    on_act: Acting = field()
    on_watch: OfVersion = field()
    on_leave: NoArgs = field()

    def add_imports(self) -> ImportDict:
        """Load the script with the page, not after the page is hydrated."""
        return {"": _GUEST_TABLE}


def guest_table(snapshot_url: str, **props: Any) -> rx.Component:
    """The table, and a preload of its snapshot, which the browser fetches while the scripts load."""
    table = GuestTable.create(
        icon("circle-alert", 20), words=dict(text.GUEST_WORDS), needs=_NEEDS, snapshot_url=snapshot_url, **props
    )
    early = rx.el.link(rel="preload", href=snapshot_url, cross_origin="anonymous", custom_attrs={"as": "fetch"})
    return rx.fragment(early, table)
