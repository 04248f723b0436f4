"""Templates out of archives and into them."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CANCEL, CLOSE, REFERENCE_LABEL

ARCHIVE_NOT_KEPT: Final = "The server has no room for the archive at the moment"
ARCHIVE_TOO_LARGE: Final = "An archive is at most {mib} MiB. Import fewer templates at once"
ARCHIVE_MISSING: Final = "Choose an archive first"
IMPORT_TEMPLATES: Final = "Import"
EXPORT_TEMPLATES: Final = "Export"
IMPORT_WORDS: Final = {
    "title": "Import templates",
    "lead": (
        "A zip or tar.gz of template folders: exported here or elsewhere, packed by hand, or downloaded from a git host. "
        "A template that was imported before and has changed gets a new revision."
    ),
    "choose": "Archive",
    "drop": "or drop it here",
    "limit": "At most {size}",
    "too_large": "{name} is larger than {size}",
    "send": "Import",
    "sending": "Sending {name}",
    "reading": "Reading {name}",
    "added": "Added",
    "changed": "Changed",
    "refused": "Refused",
    "nothing": "Nothing changed: all that {name} holds is here as it is.",
    "only_refused": "Nothing was imported from {name}.",
    "done": "Imported {name}",
    "another": "Import another",
    "failed": "It could not be imported ({status}). Nothing was changed.",
    "unreachable": "The dashboard does not answer. Look whether the templates are there before you try again.",
    "cancel": CANCEL,
    "close": CLOSE,
    "reference": REFERENCE_LABEL,
}
EXPORT_WORDS: Final = {
    "title": "Export templates",
    "lead": "Their current revisions as one archive, which this dashboard and others import as they are.",
    "kind": "Format",
    "zip": "zip",
    "tar.gz": "tar.gz",
    "count": "{count} templates",
    "count_one": "1 template",
    "send": "Download",
    "working": "Packing",
    "failed": "It could not be exported ({status}).",
    "unreachable": "The dashboard does not answer.",
    "cancel": CANCEL,
    "reference": REFERENCE_LABEL,
}
