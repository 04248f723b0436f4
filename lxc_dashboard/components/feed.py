"""The table that follows the feed of guests and nodes: its properties, and the scripts that merge patches."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field

from lxc_dashboard.components.scripts import NoArgs, WithNumber, script

for _name in ("guest_feed.js", "guest_rows.js", "feed_notes.js"):
    script(__name__, _name)


class FeedTable(NoSSRComponent):
    """Fetches ``snapshot_url`` and merges ``patch`` into it. Its child is the icon of a failure.

    ``on_watch`` gets the version of the snapshot.
    """

    snapshot_url: rx.Var[str] = field()
    patch: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()
    on_watch: WithNumber = field()
    on_leave: NoArgs = field()
