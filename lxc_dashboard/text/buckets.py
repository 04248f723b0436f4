"""Texts of the page of package buckets."""

from __future__ import annotations

from typing import Final

BUCKETS: Final = "Package buckets"
BUCKET: Final = "Bucket"
BUCKET_NEW: Final = "New bucket"
BUCKETS_NONE: Final = "No package buckets"
BUCKETS_NONE_NEXT: Final = (
    "A bucket is a list of packages that several templates share. An edit gives each of them a new revision."
)
BUCKETS_FILTER: Final = "Filter buckets"
BUCKETS_FILTER_HINT: Final = "Filter by name, manager, template…"
BUCKETS_NO_MATCH: Final = "No bucket matches this filter."
BUCKETS_ALL: Final = "All buckets"
BUCKET_CHOOSE: Final = "Choose a bucket to see its packages and the templates that use it."
BUCKET_GONE: Final = "This bucket does not exist."
BUCKET_USED_BY: Final = "Used by"
BUCKET_USED: Final = "Used by {count}"
BUCKET_UNUSED: Final = "No template uses it."
BUCKET_UNSAVED: Final = "unsaved"
BUCKET_CHANGED: Final = "Changed by {userid}"
BUCKET_LIST: Final = "Packages of {name}"
BUCKET_HINTS: Final = {
    "apt": "One package per line, optionally with a version: nginx=1.26.3-3. Comments after # are kept.",
    "apk": "One package per line, optionally with a version: nginx~1.26. Comments after # are kept.",
    "dnf": "One package per line, optionally with a version: nginx-1.26*. Comments after # are kept.",
    "npm": "One package per line, optionally with a version: @vue/cli@5. Comments after # are kept.",
    "pip": "One package per line, optionally with a version: flask>=3.0. Comments after # are kept.",
    "custom": "One per line: name|check|install, optionally |timeout_s=600. Installed if the check fails.",
}
BUCKET_FIELDS: Final = {"name": "Name", "manager": "Manager"}
BUCKET_FAULTS: Final = {"one": "1 invalid line", "many": "{count} invalid lines"}
BUCKET_LINE: Final = "Line {line}"
BUCKET_WHOLE: Final = "The list"
BUCKET_TOUCHES: Final = "Saving gives {count} a new revision: {templates}."
BUCKET_TOUCHES_NONE: Final = "No package changes: saving makes no new revisions."
BUCKET_MORE: Final = "{names} and {count} more"
BUCKET_CREATE: Final = "Create bucket"
BUCKET_SAVE: Final = "Save"
BUCKET_DISCARD: Final = "Discard changes"
BUCKET_DISCARD_TITLE: Final = "Discard your changes to {name}?"
BUCKET_DISCARD_MEANS: Final = "The last saved list is shown again."
BUCKET_DELETE: Final = "Delete"
BUCKET_DELETE_TITLE: Final = "Delete the bucket {name}?"
BUCKET_DELETE_UNUSED: Final = "No template uses it. The list cannot be restored."
BUCKET_DELETE_USED: Final = "Its packages stay in {count}: {templates}. The list cannot be restored."
BUCKET_DELETE_ASK: Final = "Type {name} to confirm"
BUCKET_CREATED: Final = "Created the bucket {name}"
BUCKET_SAVED: Final = "Saved {name}"
BUCKET_SAVED_REVISED: Final = "Saved {name}. New revisions: {templates}"
BUCKET_UNCHANGED: Final = "{name} has no changes: nothing was saved"
BUCKET_DELETED: Final = "Deleted the bucket {name}"
BUCKET_DELETED_KEPT: Final = "Deleted the bucket {name}. Its packages stay in {templates}"
BUCKET_TAKEN_AWAY: Final = "Another user deleted {name}. Your changes are shown as a new, unsaved bucket"
BUCKET_OVERTAKEN: Final = "{userid} changed this bucket while you edited it. Your changes are not saved, and not lost."
BUCKET_OVERTAKEN_LINES: Final = "Their changes"
BUCKET_OVERTAKEN_NAME: Final = "Its new name is {name}."
BUCKET_THEIRS: Final = "Use theirs, discard mine"
BUCKET_MINE: Final = "Continue with mine"
BUCKET_REPLACING: Final = "Saving overwrites the changes of {userid}."
BUCKET_READ_ONLY: Final = "You need VM.Allocate at /vms to change buckets. A PVE administrator can grant it."
