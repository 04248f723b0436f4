"""The list of keys in the frame of every page, drawn by ``shortcuts.js``."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.controls import icon
from lxc_dashboard.components.scripts import script

# The lists take it from beside the first.
script(__name__, "keys.js")
_SHORTCUTS = script(__name__, "shortcuts.js")


class ShortcutList(rx.Component):
    """A button, its key, and the dialog that both open. Its child is the button's icon."""

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
