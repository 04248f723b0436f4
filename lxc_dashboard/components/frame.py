"""The parts of the frame around every page: search, list of keys, running jobs, status line, light and dark.

``keys.js`` also serves the lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.controls import icon
from lxc_dashboard.components.scripts import NoArgs, WithText, script

_CLICKS = script(__name__, "clicks.js")
_PALETTE = script(__name__, "palette.js")
_RUNNING = script(__name__, "running.js")
_SHORTCUTS = script(__name__, "shortcuts.js")
_STATUS_LINE = script(__name__, "status_line.js")
script(__name__, "keys.js")


class Clicks(rx.Component):
    """Clicks the pressed element, even if the page moves before the release. Draws nothing."""

    library = _CLICKS
    tag = "Clicks"


class PaletteDialog(rx.Component):
    """A button with a key, and the dialog that they open."""

    library = _PALETTE
    tag = "Palette"

    pages: rx.Var[list[dict[str, str]]] = field()
    found: rx.Var[list[Any]] = field()
    of: rx.Var[str] = field()
    failure: rx.Var[str] = field()
    chars: rx.Var[int] = field()
    words: rx.Var[dict[str, str]] = field()
    on_load: NoArgs
    on_find: WithText


def palette(pages: Sequence[Mapping[str, str]], *, chars: int, **server: Any) -> rx.Component:
    """The search. ``pages`` are searched in the browser, everything else on the server.

    ``on_load`` queries the server before anything is typed, ``on_find`` with each input. The server answers with
    ``found`` for the query ``of``, or with ``failure``.
    """
    return PaletteDialog.create(
        icon("search"),
        pages=list(pages),
        chars=chars,
        words=dict(text.SEARCH_WORDS),
        **server,
    )


class ShortcutList(rx.Component):
    """A button with a key, and the dialog that they open. Its child is the button's icon."""

    library = _SHORTCUTS
    tag = "Shortcuts"

    groups: rx.Var[list[dict[str, Any]]] = field()
    words: rx.Var[dict[str, str]] = field()


def shortcuts() -> rx.Component:
    groups = [
        {
            "title": title,
            "shortcuts": [{"keys": keys.split(), "does": does, "alone": alone} for keys, does, alone in listed],
        }
        for title, listed in text.SHORTCUTS.items()
    ]
    return ShortcutList.create(icon("keyboard"), groups=groups, words=dict(text.SHORTCUT_WORDS))


class RunningNow(rx.Component):
    """A button with the number of running jobs and tasks, and the drawer that it opens."""

    library = _RUNNING
    tag = "Running"

    now: rx.Var[dict[str, Any]] = field()
    jobs_url: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()
    on_watch: NoArgs
    on_leave: NoArgs


def running_now(now: Any, *, on_watch: Any, on_leave: Any) -> rx.Component:
    """The drawer of running jobs. ``RunningHub`` pushes ``now`` to tabs whose page is visible."""
    return RunningNow.create(
        now=now, jobs_url=routes.JOBS, words=dict(text.RUNNING_WORDS), on_watch=on_watch, on_leave=on_leave
    )


class StatusLine(rx.Component):
    """The age of PVE's last answer, PVE's version, and how many nodes answer."""

    library = _STATUS_LINE
    tag = "StatusLine"

    feed: rx.Var[dict[str, Any]] = field()
    words: rx.Var[dict[str, str]] = field()


def status_line(feed: Any) -> rx.Component:
    """The status line. ``RunningHub`` pushes ``feed`` to every visible page."""
    return StatusLine.create(feed=feed, words=dict(text.STATUS_WORDS))


def theme_toggle() -> rx.Component:
    """Light or dark. Follows the system until the user chooses; the browser stores the choice."""
    return rx.el.button(
        rx.el.span(icon("sun"), class_name="on-dark"),
        rx.el.span(icon("moon"), class_name="on-light"),
        type="button",
        class_name="button quiet icon-only",
        title=text.SWITCH_THEME,
        aria_label=text.SWITCH_THEME,
        on_click=rx.toggle_color_mode,
    )
