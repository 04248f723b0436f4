"""Texts of the import and export of templates."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CANCEL, CLOSE, REFERENCE_LABEL

ARCHIVE_NOT_KEPT: Final = "The server has no disk space for the archive"
ARCHIVE_TOO_LARGE: Final = "An archive is at most {mib} MiB. Import fewer templates at once"
ARCHIVE_KIND_UNKNOWN: Final = "must be one of {kinds}"
ARCHIVE_FORM_INVALID: Final = "must be a form with one file"
ARCHIVE_FIELD_TOO_LARGE: Final = "is too large"
ARCHIVE_MISSING: Final = "Choose an archive first"
IMPORT_TEMPLATES: Final = "Import"
EXPORT_TEMPLATES: Final = "Export"
IMPORT_WORDS: Final = {
    "title": "Import templates",
    "lead": (
        "A zip or tar.gz of template folders: an export, packed by hand, or downloaded from a git host. A changed template gets a new revision."
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
    "nothing": "No changes: all templates of {name} are already here.",
    "only_refused": "Nothing was imported from {name}.",
    "done": "Imported {name}",
    "another": "Import another",
    "failed": "Import failed ({status}). Nothing was changed.",
    "unreachable": "The dashboard does not answer. Check the list of templates before you try again.",
    "cancel": CANCEL,
    "close": CLOSE,
    "reference": REFERENCE_LABEL,
}
EXPORT_WORDS: Final = {
    "title": "Export templates",
    "lead": "The current revisions as one archive, which any dashboard can import.",
    "kind": "Format",
    "zip": "zip",
    "tar.gz": "tar.gz",
    "count": "{count} templates",
    "count_one": "1 template",
    "send": "Download",
    "working": "Packing",
    "failed": "Export failed ({status}).",
    "unreachable": "The dashboard does not answer.",
    "cancel": CANCEL,
    "reference": REFERENCE_LABEL,
}
