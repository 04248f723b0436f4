"""A guest's terminal in the page: xterm.js over our own websocket."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field

from lxc_dashboard import text
from lxc_dashboard.components.scripts import script

# console.js fetches this one late, from beside itself.
script(__name__, "console_terminal.js")
_CONSOLE = script(__name__, "console.js")


class Console(NoSSRComponent):
    """Connects to ``url`` (a path of this site) while it is shown; an empty one shows nothing."""

    library = _CONSOLE
    tag = "Console"
    lib_dependencies: list[str] = field(default_factory=lambda: ["@xterm/addon-fit@^0.11.0", "@xterm/xterm@^6.0.0"])

    url: rx.Var[str] = field()
    label: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()


def console(url: Any, label: Any) -> rx.Component:
    return Console.create(url=url, label=label, words=dict(text.CONSOLE_WORDS))
