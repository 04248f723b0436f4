"""Texts of errors of templates, drafts and shared buckets, and of differences between two contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

_UNSAVED: Final = "Your changes were not saved"

OF_LIBRARY: Final[Mapping[str, str | WithRemedy]] = {
    "library.too_long": "At most {most} characters",
    "library.no_text": "Must be text",
    # Templates and revisions
    "template.none": "No template is called {name}",
    "template.several": "{name} is in more than one source: write one of {choices}",
    "template.deleted": "This template was deleted",
    "template.foreign": WithRemedy("{name} comes from a {kind} source", "Edit a copy instead"),
    "template.name_invalid": "1 to 63 letters, digits, . _ and -, the first a letter or digit",
    "template.name_taken": "Another template here has this name",
    "template.name_taken_by_deleted": "A deleted template with containers has this name",
    "template.name_unconfirmed": "does not match: the template is called {name}",
    "template.renamed": "The template was renamed to {name} meanwhile: use that name, or rename it again",
    "revision.none": "This revision does not exist",
    "revision.no_script": "This revision has no such script",
    "revision.invalid": "Revision {number} is invalid by today's rules",
    # The fields of drafts
    "draft.too_many_scripts": "At most {most} scripts",
    "draft.too_many_files": "At most {most} files",
    "draft.too_many_lists": "At most {most} lists",
    "draft.too_large": "A template is at most {mib} MiB in all",
    "draft.name_twice": "Is used twice",
    "draft.script_order": "Would run before {name}: give it a higher number",
    "draft.file_missing": "Is missing: upload the file again",
    "draft.file_content_missing": "Its content is missing: upload the file again",
    "draft.file_too_large": "Is larger than {mib} MiB",
    "draft.upload_too_large": "A file is at most {mib} MiB",
    "draft.mode_invalid": "Must be an octal mode from 0000 to 7777",
    "draft.second_list": "Is a second list {list}",
    "draft.bucket_deleted": "Refers to a deleted shared bucket: remove it",
    # Drafts
    "draft.no_file": "This draft has no such file",
    "draft.changed_elsewhere": WithRemedy("This draft was changed in another window", "Reload the page to see it"),
    "draft.too_many": "You have {number} drafts: save or discard one first",
    # Shared buckets
    "bucket.name_taken": "A shared {manager} bucket of this name already exists",
    "bucket.name_unconfirmed": "does not match: the bucket is called {name}",
    "bucket.manager_unknown": "is one of {managers}",
    "bucket.changed": WithRemedy("Another user changed {bucket} meanwhile", _UNSAVED),
    "bucket.changed_by": WithRemedy("{by} changed {bucket} meanwhile", _UNSAVED),
    "bucket.list_of_its_own": "The template {template} has a list {list} of its own",
    # Changes between two contents of a template
    "difference.field": "{field}: {old} is now {new}",
    "difference.script_added": "Script {name} added",
    "difference.script_removed": "Script {name} removed",
    "difference.script_changed": "Script {name} changed",
    "difference.script_lines": "Script {name} changed (+{added} -{removed} lines)",
    "difference.script_moved": "Script {name} moved",
    "difference.file_added": "File {name} added",
    "difference.file_removed": "File {name} removed",
    "difference.file_changed": "File {name} changed",
    "difference.file_lines": "File {name} changed (+{added} -{removed} lines)",
    "difference.list_added": "Packages {list} added",
    "difference.list_removed": "Packages {list} removed",
    "difference.list_reordered": "Packages {list} reordered",
    "difference.list_changed": "Packages {list} {counts}",
    "difference.counts": "{first}, {others}",
    "difference.packages_added": "{number} added",
    "difference.packages_removed": "{number} removed",
    "difference.packages_changed": "{number} changed",
}
