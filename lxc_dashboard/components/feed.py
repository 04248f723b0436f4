"""The scripts by which tables follow the feed of guests and nodes, and the events of such tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

from lxc_dashboard.components.scripts import script

# mypy takes Reflex's annotation of an event trigger for a value.
if TYPE_CHECKING:
    NoArgs = rx.EventHandler
    OfVersion = rx.EventHandler
else:
    NoArgs = rx.EventHandler[rx.event.no_args_event_spec]
    OfVersion = rx.EventHandler[rx.event.passthrough_event_spec(int)]

for _name in ("guest_feed.js", "guest_rows.js", "feed_notes.js"):
    script(__name__, _name)
