"""Parts of pages with a list, drawn by ``list_parts.js``: search field, layout switch, keys, and the feed's table."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field

from lxc_dashboard import text
from lxc_dashboard.components.scripts import NoArgs, WithNumber, WithText, script

for _name in ("guest_feed.js", "guest_rows.js", "feed_notes.js"):
    script(__name__, _name)


class FeedTable(NoSSRComponent):
    """Fetches ``snapshot_url`` and merges ``patch`` into it. Its child is the icon for a failure.

    ``on_watch`` gets the version of the snapshot.
    """

    snapshot_url: rx.Var[str] = field()
    patch: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()
    on_watch: WithNumber = field()
    on_leave: NoArgs = field()


_LIST_PARTS = script(__name__, "list_parts.js")


class ListPart(rx.Component):
    """One export of ``list_parts.js``."""

    library = _LIST_PARTS


class SearchPart(ListPart):
    tag = "SearchBox"
    value: rx.Var[str] = field()
    label: rx.Var[str] = field()
    placeholder: rx.Var[str] = field()
    chars: rx.Var[int] = field()
    on_search: WithText


class LayoutPart(ListPart):
    tag = "LayoutSwitch"
    layout: rx.Var[str] = field()
    labels: rx.Var[dict[str, str]] = field()
    label: rx.Var[str] = field()
    on_choose: WithText
    on_remembered: WithText


class KeysPart(ListPart):
    tag = "ListKeys"


def search_box(value: Any, *, label: str, chars: int, on_search: Any) -> rx.Component:
    """A search field. Each input calls ``on_search`` and sets ``q`` in the address. ``/`` focuses the field."""
    return SearchPart.create(value=value, label=label, placeholder=label, chars=chars, on_search=on_search)


def layout_switch(layout: Any, *, on_choose: Any, on_remembered: Any) -> rx.Component:
    """Table or cards. ``on_remembered`` gets the browser's last choice if the address has no layout."""
    return LayoutPart.create(
        layout=layout,
        labels=dict(text.TEMPLATE_LAYOUTS),
        label=text.TEMPLATE_LAYOUT,
        on_choose=on_choose,
        on_remembered=on_remembered,
    )


def list_keys() -> rx.Component:
    return KeysPart.create()
