"""Import and export of templates, drawn by ``archives.js``.

::

    rx.cond(AuthoringState.may_author, import_button(on_done=TemplatesState.load))
    export_button(TemplatesState.chosen, small=True)
    export_button(rx.Var.create([TemplateState.template_id]))
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import routes, text
from lxc_dashboard.components.scripts import NoArgs, script
from lxc_dashboard.services.templates.sources.archive import KINDS
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES

_ARCHIVES = script(__name__, "archives.js")


class ImportButton(rx.Component):
    """Uploads a file to ``address`` and shows the result; ``on_done``: a template was added or changed."""

    library = _ARCHIVES
    tag = "ImportButton"

    address: rx.Var[str] = field()
    label: rx.Var[str] = field()
    limit: rx.Var[int] = field()
    words: rx.Var[dict[str, str]] = field()
    on_done: NoArgs


class ExportButton(rx.Component):
    """Downloads the templates ``ids`` from ``address`` as one file."""

    library = _ARCHIVES
    tag = "ExportButton"

    address: rx.Var[str] = field()
    label: rx.Var[str] = field()
    ids: rx.Var[list[str]] = field()
    kinds: rx.Var[list[str]] = field()
    words: rx.Var[dict[str, str]] = field()
    small: rx.Var[bool] = field()


def import_button(*, on_done: Any, label: Any = text.IMPORT_TEMPLATES) -> rx.Component:
    """Opens the dialog to import an archive. Show it to authors; the route checks the privilege."""
    return ImportButton.create(
        address=routes.TEMPLATE_IMPORT,
        label=label,
        limit=MAX_ARCHIVE_BYTES,
        words=dict(text.IMPORT_WORDS),
        on_done=on_done,
    )


def export_button(ids: Any, *, label: Any = text.EXPORT_TEMPLATES, small: bool = False) -> rx.Component:
    """Opens the dialog to download the templates ``ids`` as a zip or tar.gz."""
    return ExportButton.create(
        address=routes.TEMPLATE_EXPORT,
        label=label,
        ids=ids,
        kinds=list(KINDS),
        words=dict(text.EXPORT_WORDS),
        small=small,
    )
