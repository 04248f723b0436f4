"""Package buckets."""

from __future__ import annotations

from typing import Final

BUCKETS: Final = "Package buckets"
BUCKET: Final = "Bucket"
BUCKET_NEW: Final = "New bucket"
BUCKETS_NONE: Final = "No package buckets"
BUCKETS_NONE_NEXT: Final = "A bucket is a list of packages that many templates refer to: edit it here once, and each of them gets a new revision."
BUCKETS_FILTER: Final = "Filter buckets"
BUCKETS_FILTER_HINT: Final = "Filter by name, manager, template…"
BUCKETS_NO_MATCH: Final = "No bucket matches this filter."
BUCKETS_ALL: Final = "All buckets"
BUCKET_CHOOSE: Final = "Choose a bucket to see what it holds and which templates refer to it."
BUCKET_GONE: Final = "This bucket does not exist or was removed."
BUCKET_USED_BY: Final = "Used by"
BUCKET_USED: Final = "Used by {count}"
BUCKET_UNUSED: Final = "No template refers to it."
BUCKET_UNSAVED: Final = "unsaved"
BUCKET_CHANGED: Final = "Changed by {userid}"
BUCKET_LIST: Final = "Packages of {name}"
BUCKET_HINTS: Final = {
    "apt": "One package a line, with a pin where one is wanted: nginx=1.26.3-3. What follows a # is a comment, and is kept.",
    "apk": "One package a line, with a pin where one is wanted: nginx~1.26. What follows a # is a comment, and is kept.",
    "dnf": "One package a line, with a pin where one is wanted: nginx-1.26*. What follows a # is a comment, and is kept.",
    "npm": "One package a line, with a pin where one is wanted: @vue/cli@5. What follows a # is a comment, and is kept.",
    "pip": "One package a line, with a pin where one is wanted: flask>=3.0. What follows a # is a comment, and is kept.",
    "custom": "One a line: name|check|install, and |timeout_s=600 if needed. Installed only where its check fails.",
}
BUCKET_FIELDS: Final = {"name": "Name", "manager": "Manager"}
BUCKET_FAULTS: Final = {"one": "1 line to mend", "many": "{count} lines to mend"}
BUCKET_LINE: Final = "Line {line}"
BUCKET_WHOLE: Final = "The list"
BUCKET_TOUCHES: Final = "Saving gives {count} a new revision: {templates}."
BUCKET_TOUCHES_NONE: Final = "No package changes: saving makes no new revision of a template."
BUCKET_MORE: Final = "{names} and {count} more"
BUCKET_CREATE: Final = "Create bucket"
BUCKET_SAVE: Final = "Save"
BUCKET_DISCARD: Final = "Discard changes"
BUCKET_DISCARD_TITLE: Final = "Discard what was typed into {name}?"
BUCKET_DISCARD_MEANS: Final = "It is shown as it was saved last."
BUCKET_DELETE: Final = "Delete"
BUCKET_DELETE_TITLE: Final = "Delete the bucket {name}?"
BUCKET_DELETE_UNUSED: Final = "No template refers to it. Its list cannot be brought back."
BUCKET_DELETE_USED: Final = "Its packages stay in {count}: {templates}. Its list cannot be brought back."
BUCKET_DELETE_ASK: Final = "Type {name} to confirm"
BUCKET_CREATED: Final = "Created the bucket {name}"
BUCKET_SAVED: Final = "Saved {name}"
BUCKET_SAVED_REVISED: Final = "Saved {name}. New revisions: {templates}"
BUCKET_UNCHANGED: Final = "{name} was like this already: nothing was stored"
BUCKET_DELETED: Final = "Deleted the bucket {name}"
BUCKET_DELETED_KEPT: Final = "Deleted the bucket {name}. Its packages stay in {templates}"
BUCKET_TAKEN_AWAY: Final = (
    "{name} was deleted by somebody in the meantime. What you typed stands here as a new bucket, not saved yet"
)
BUCKET_OVERTAKEN: Final = (
    "{userid} changed this bucket after you began. Nothing of yours was stored, and nothing of it is lost."
)
BUCKET_OVERTAKEN_LINES: Final = "What they changed"
BUCKET_OVERTAKEN_NAME: Final = "It is called {name} now."
BUCKET_THEIRS: Final = "Take theirs, forget mine"
BUCKET_MINE: Final = "Go on with mine"
BUCKET_REPLACING: Final = "Saving replaces what {userid} saved in the meantime."
BUCKET_READ_ONLY: Final = "Changing buckets needs VM.Allocate at /vms. An administrator of PVE can grant it."
