"""Texts of the list of keyboard shortcuts."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CLOSE, NAV_CONTAINERS, NAV_TEMPLATES
from lxc_dashboard.text.containers import CONSOLE
from lxc_dashboard.text.creation import CREATE_TITLE

# Keys as in shortcuts.js
SHORTCUT_WORDS: Final = {
    "title": "Keyboard shortcuts",
    "single": "Single-key shortcuts",
    "single_hint": "If off, only Enter and keys with Ctrl or Alt work; open this list from the menu. Stored in this browser.",
    "off": "off",
    "close": CLOSE,
}
# By place: the keys, their effect, and whether they work without Ctrl or Alt.
SHORTCUTS: Final = {
    "Everywhere": (
        ("Ctrl K", "Search", False),
        ("?", "Show this list", True),
    ),
    f"{NAV_CONTAINERS}, {NAV_TEMPLATES.lower()}, buckets": (
        ("/", "Filter", True),
        ("j", "Next line", True),
        ("k", "Previous line", True),
        ("Enter", "Open the line", False),
        ("x", "Choose a template", True),
    ),
    CREATE_TITLE: (("Ctrl Enter", "Next step", False),),
    "Editor, buckets": (
        ("Ctrl S", "Save", False),
        ("Alt \u2191 \u2193", "Move a script", False),
    ),
    CONSOLE: (
        ("Ctrl Shift X", "Leave the terminal", False),
        ("Ctrl Shift C", "Copy", False),
        ("Ctrl Shift V", "Paste", False),
    ),
}
