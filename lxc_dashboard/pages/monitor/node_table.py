"""The dashboard's live nodes, drawn by ``node_table.js``."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field

from lxc_dashboard import text
from lxc_dashboard.components.controls import icon
from lxc_dashboard.components.feed import NoArgs, OfVersion
from lxc_dashboard.components.scripts import script

_NODE_TABLE = script(__name__, "node_table.js")


class NodeTable(NoSSRComponent):
    """Nodes and counts of ``snapshot_url``, moved by ``patch``. Its child is the mark of a failure."""

    library = _NODE_TABLE
    tag = "NodeTable"

    snapshot_url: rx.Var[str] = field()
    list_url: rx.Var[str] = field()
    create_url: rx.Var[str] = field()
    patch: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()
    on_watch: OfVersion = field()
    on_leave: NoArgs = field()


def node_table(**props: Any) -> rx.Component:
    return NodeTable.create(icon("circle-alert", 20), words=dict(text.NODE_WORDS), **props)
