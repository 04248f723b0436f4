"""The search in the top bar of every page, drawn by ``palette.js``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.controls import icon
from lxc_dashboard.components.scripts import script

# mypy takes Reflex's annotation of an event trigger for a value.
if TYPE_CHECKING:
    NoArgs = rx.EventHandler
    WithText = rx.EventHandler
else:
    NoArgs = rx.EventHandler[rx.event.no_args_event_spec]
    WithText = rx.EventHandler[rx.event.passthrough_event_spec(str)]

_PALETTE = script(__name__, "palette.js")


class PaletteDialog(rx.Component):
    """A button, its key, and the dialog that both open."""

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
    """``pages`` are found in the browser. Of the server are ``found``, of the words ``of``, or its ``failure``; it is asked
    by ``on_load`` as long as nothing is typed, then by ``on_find``.
    """
    return PaletteDialog.create(
        icon("search"),
        pages=list(pages),
        chars=chars,
        words=dict(text.SEARCH_WORDS),
        **server,
    )
