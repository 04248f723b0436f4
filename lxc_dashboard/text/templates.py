"""Texts of the pages of templates, shared buckets and sources, and of the import and export."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import CANCEL, CLOSE, REFERENCE_LABEL

# Templates
READ_FOLDERS: Final = "Read folders again"
FOLDERS_READ: Final = "Read the folders: {added} added, {changed} changed, {removed} removed, {refused} refused"
TEMPLATE: Final = "Template"
DESCRIPTION: Final = "Description"
TAGS: Final = "Tags"
SOURCE: Final = "Source"
REVISION: Final = "Revision"
REVISIONS: Final = "Revisions"
AUTHOR: Final = "Author"
NOTE: Final = "Note"
WHEN: Final = "When"
ACTIONS: Final = "Actions"
OS: Final = "OS"
HOLDS: Final = "Contents"
SEARCH_TEMPLATES: Final = "Filter by name, tag, package, script text…"
NO_TEMPLATES: Final = "No templates"
NO_TEMPLATES_NEXT: Final = (
    "A template is a folder with a template.conf. Put one under TEMPLATES_DIR, then read the folders again."
)
NO_TEMPLATE_MATCHES: Final = "No template matches this filter"
REFUSED_TITLE: Final = "Not read"
CONFIG: Final = "Config"
SCRIPTS: Final = "Scripts"
FILES: Final = "Files"
PACKAGES: Final = "Packages"
FINDINGS: Final = "Findings"
MISSING_MARK: Final = "missing in its source"
REFUSED_MARK: Final = "not readable"
MISSING_NOTE: Final = "It was removed from its source. Its last revision can still be used."
REFUSED_NOTE: Final = "Its source has an invalid version: {why}. The last valid revision is shown."
SCRIPT_OPTIONAL: Final = "optional"
SCRIPT_TIMEOUT: Final = "timeout {seconds} s"
OWNER_OF_FOLDER: Final = "owner of the folder"
BINARY_FILE: Final = "A binary file of {size}"
NO_SUCH_TEMPLATE: Final = "This template does not exist"
MISSING_TEMPLATE_DETAIL: Final = "The address is wrong, or the template was deleted."
ALL_TEMPLATES: Final = "All templates"

# Templates: the list and one template in its tabs
TEMPLATE_LAYOUT: Final = "Layout"
TEMPLATE_LAYOUTS: Final = {"table": "Table", "cards": "Cards"}
TEMPLATE_SORTS: Final = {
    "name": "By name",
    "updated": "Newest first",
    "containers": "Most used first",
    "source": "By source",
    "os": "By OS",
}
SORT_TEMPLATES: Final = "Sort"
BY_TAG: Final = "Filter by tag"
BY_SOURCE: Final = "Filter by source"
BY_OS: Final = "Filter by OS"
ANY_TAG: Final = "Any tag"
ANY_SOURCE: Final = "Any source"
ANY_OS: Final = "Any OS"
CLEAR_FILTER: Final = "Clear the filter"
TEMPLATES_SOME: Final = "{found} of {total}"
TEMPLATES_WINDOW: Final = "{first} to {last} of {found}"
TEMPLATE_PAGES: Final = "Pages"
PREVIOUS_PAGE: Final = "Previous"
NEXT_PAGE: Final = "Next"
CHOOSE_TEMPLATE: Final = "Choose"
CHOOSE_PAGE: Final = "Choose all of this page"
CHOOSE_FOUND: Final = "Choose all that match"
CHOSEN: Final = "chosen"
CHOOSE_NONE: Final = "Clear"
UPDATED: Final = "Updated"
BUILT_FROM: Final = "Containers"
REFUSED_MORE: Final = "and {count} more"
PRIVILEGED_MARK: Final = "privileged"
PRIVILEGED_MARK_NOTE: Final = "Its containers are privileged: their root is root on the node"
FINDINGS_MARK_NOTE: Final = "Findings of the checks, listed in the Config tab"
DRAFT_MARK: Final = "your draft"
DRAFT_MARK_NOTE: Final = "You have unsaved changes"
TEMPLATE_TABS: Final = {
    "config": "Config",
    "scripts": "Scripts",
    "packages": "Packages",
    "files": "Files",
    "revisions": "Revisions",
    "containers": "Containers",
}
FIELD: Final = "Field"
VALUE: Final = "Value"
IN_PVE: Final = "In PVE"
YES: Final = "Yes"
NO: Final = "No"
CONFIG_ASKED: Final = "choose in the wizard"
# Label, unit, and the meaning in PVE.
TEMPLATE_FIELDS: Final = {
    "app": ("App", "", "Not in PVE: the name shown to users"),
    "description": ("Description", "", "Not in PVE: the description shown to users"),
    "tags": ("Tags", "", "tags: group and filter guests in PVE"),
    "os": ("OS", "", "ostemplate: the newest OS template of this name on the node's storages"),
    "cpu": ("Cores", "cores", "cores: the limit of CPU cores"),
    "ram_mib": ("Memory", "MiB", "memory: the limit; above it, processes are killed"),
    "swap_mib": ("Swap", "MiB", "swap: in addition to memory, on the node's swap space"),
    "disk_gib": ("Disk", "GiB", "rootfs: size of the volume, which can grow but not shrink"),
    "storage": ("Storage", "", "rootfs: storage of the volume; must allow containers"),
    "bridge": ("Bridge", "", "net0: bridge of the network device"),
    "unprivileged": ("Unprivileged", "", "unprivileged: root in the guest is an ordinary user on the node"),
    "nesting": ("Nesting", "", "features: for systemd in newer guests, and for nested containers"),
    "keyctl": ("keyctl", "", "features: for Docker in an unprivileged container. Only root@pam may set it"),
    "fuse": ("FUSE", "", "features: for FUSE file systems. Only root@pam may set it"),
    "network": ("Scripts need the network", "", "No: a job without packages does not wait for an address"),
}
DOWNLOAD: Final = "Download"
FILE: Final = "File"
SCRIPTS_ORDER: Final = "Scripts in run order"
NO_SCRIPTS_HERE: Final = "No scripts. Containers get packages and files only."
NO_PACKAGES_HERE: Final = "No packages"
NO_FILES_HERE: Final = "No files"
NO_FINDINGS: Final = "No findings."
SCRIPT_OFF: Final = "disabled"
SCRIPT_OFF_NOTE: Final = "Disabled by default. The wizard can enable it"
SCRIPT_OPTIONAL_NOTE: Final = "The job continues if it fails"
SECONDS: Final = "{seconds} s"
SHARED_BUCKET: Final = "shared bucket"
SHARED_BUCKET_NOTE: Final = "From a shared bucket, as it was when this revision was saved"
INSTALLED_UNLESS: Final = "Installed unless"
INSTALLED_BY: Final = "Installed by"
AT_MOST: Final = "At most"
TARGET: Final = "In the guest"
POLICY: Final = "Policy"
POLICY_NOTES: Final = {
    "replace": "Overwrites an existing file",
    "default": "Keeps an existing file",
    "backup": "Renames an existing file, with the time in its name",
}
MODE: Final = "Mode"
OWNER: Final = "Owner"
SIZE: Final = "Size"
CONTENT: Final = "Content"
KIND_TEXT: Final = "text"
KIND_BINARY: Final = "binary"
LONG_FILE: Final = "Too long to show ({size}). Download it"
OLDER_REVISION: Final = "This is revision {number}. Containers are built from the current one, {current}."
SHOW_CURRENT: Final = "Show the current one"
COMPARE_CURRENT: Final = "Compare with the current one"
BY_SOURCE_ITSELF: Final = "its source"
VIEW_REVISION: Final = "View"
WHAT_IT_CHANGED: Final = "What it changed"
CHANGED_SINCE: Final = "Changed since"
CURRENT_REVISION: Final = "current"
COMPARE_FROM: Final = "Compare"
COMPARE_TO: Final = "with"
COMPARE_NONE: Final = "Choose"
COMPARE_SWAP: Final = "Swap"
COMPARE_HINT: Final = "Choose two revisions to compare."
COMPARED: Final = "From r{old} to r{new}"
COMPARED_SAME: Final = "r{old} and r{new} are equal"
RESTORE: Final = "Restore"
RESTORE_TITLE: Final = "Restore revision"
RESTORE_CONSEQUENCE: Final = (
    "Makes a new revision with the content of this one. The current revision stays in the list."
)
RESTORE_NOTE: Final = "Note"
RESTORE_NOTE_HINT: Final = "Why you restore it; shown in the list of revisions"
RESTORED_FROM: Final = "Restored from revision {number}"
RESTORED: Final = "Restored r{number} as r{made}"
NOTHING_BUILT: Final = "No containers built from this template"
NOTHING_BUILT_NEXT: Final = "Containers appear here with their revision and the changes since."
BUILT_ALL_CURRENT: Final = "All use the current revision."
BUILT_OLDER_ONE: Final = "1 uses an older revision."
BUILT_OLDER: Final = "{count} use older revisions."
BUILT_UNSEEN: Final = "{count} more are not visible to you in PVE, or were deleted."
BUILT_OLDER_MARK: Final = "older"
WHAT_WOULD_CHANGE: Final = "What would change"
BUILT_AT: Final = "Built"
NEW_TEMPLATE: Final = "New template"
EDIT_TEMPLATE: Final = "Edit"
EDIT_COPY: Final = "Edit a copy"
DELETE_TEMPLATE: Final = "Delete"
DELETE_TEMPLATE_TITLE: Final = "Delete template {name}?"
DELETE_TEMPLATE_CONSEQUENCE: Final = (
    "Deletes the template with all its revisions. Containers that were built from it stay, and so do their revisions."
)
DELETE_TEMPLATE_ASK: Final = "Type {name} to confirm"
DELETED_TEMPLATE: Final = "Deleted template {name}"
DELETED_KEPT: Final = "Deleted template {name}. Revisions with containers are kept"
DELETED_MARK: Final = "deleted"
DELETED_NOTE: Final = (
    "This template was deleted. Revisions with containers are kept. Restore one to use the template again."
)
BUILT_AS: Final = "Renamed, formerly {name}"


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


# Sources of templates
SOURCES: Final = "Sources"
SOURCE_ADD: Final = "Add git source"
SOURCE_ADD_TITLE: Final = "New git source"
SOURCE_CHANGE: Final = "Change"
SOURCE_CHANGE_TITLE: Final = "Change {name}"
SOURCE_SYNC: Final = "Sync now"
SOURCE_SYNCING: Final = "Reading"
SOURCE_REMOVE: Final = "Remove"
SOURCE_REMOVE_TITLE: Final = "Remove {name}?"
SOURCE_REMOVE_MEANS: Final = "Deletes its credentials and its templates, except templates that containers were built from. Containers are not changed."
SOURCE_REMOVE_ASK: Final = "Type {name} to confirm"
SOURCE_REMOVED: Final = "Removed {name} and {count} of its templates"
SOURCE_REMOVED_KEPT: Final = "Removed {name}. Kept templates with containers: {kept}"
SOURCE_ADDED: Final = "Added {name}"
SOURCE_CHANGED: Final = "Changed {name}"
SOURCE_SYNCED: Final = "Read {name}: {added} added, {changed} changed, {removed} removed, {refused} refused"
SOURCES_NONE: Final = "No sources"
SOURCES_NONE_NEXT: Final = "A source is a folder or a git repository with templates. Add a git repository."
SOURCE_KIND: Final = "Kind"
SOURCE_KINDS: Final = {"folder": "Folder", "git": "Git", "custom": "Custom", "imported": "Imported"}
SOURCE_LOCATION: Final = "From"
SOURCE_CHECKED: Final = "Last check"
SOURCE_NEVER: Final = "Never"
SOURCE_STATE: Final = "State"
SOURCE_STATES: Final = {
    "ok": "Read",
    "new": "Not read yet",
    "refused": "{count} refused",
    "error": "Not read",
    "own": "In the dashboard",
}
SOURCE_COMMIT: Final = "Commit"
SOURCE_OPENED: Final = "Access"
SOURCE_OPENED_WITH: Final = {
    "": "None: public",
    "password": "Password or token, stored encrypted",
    "key": "SSH key, stored encrypted",
}
SOURCE_HOST_KEY: Final = "SSH host key"
SOURCE_SCHEDULE: Final = "Schedule"
SOURCE_SCHEDULES: Final = {
    "0": "On request only",
    "60": "Every minute",
    "300": "Every 5 minutes",
    "900": "Every 15 minutes",
    "3600": "Every hour",
    "86400": "Every day",
}
SOURCE_EVERY: Final = "Every {count} s"
SOURCE_MISSING: Final = "{count} of {total} missing"
SOURCE_HOOK: Final = "Webhook"
SOURCE_HOOK_NONE: Final = "Off"
SOURCE_HOOK_NOTE: Final = (
    "Send push events to this address, signed with the webhook secret. GitHub, GitLab, Gitea and Forgejo support this."
)
SOURCE_REPORT: Final = "Result of the last pass"
SOURCE_REPORT_NONE: Final = "This source was not read yet."
SOURCE_REPORT_SAME: Final = "No changes."
SOURCE_REPORT_WORDS: Final = {"added": "Added", "changed": "Changed", "removed": "Removed", "refused": "Refused"}
SOURCE_READ_ONLY: Final = "You need VM.Allocate at /vms in PVE to change sources"
SOURCE_NAME: Final = "Name"
SOURCE_NAME_HINT: Final = "Distinguishes its templates from those of other sources"
SOURCE_ADDRESS: Final = "Address of the repository"
SOURCE_ADDRESS_HINT: Final = (
    "https://host/path, ssh://user@host/path, user@host:path or file:///path. Without user and password for https"
)
SOURCE_REF: Final = "Branch or tag"
SOURCE_REF_HINT: Final = "Empty: the repository's default branch"
SOURCE_SUBFOLDER: Final = "Subfolder"
SOURCE_SUBFOLDER_HINT: Final = "Empty: the whole repository"
SOURCE_ACCESS: Final = "Access"
SOURCE_ACCESSES: Final = {"none": "None", "password": "Password or token", "key": "SSH key"}
SOURCE_ACCESS_KEEP: Final = "Stored credentials"
SOURCE_USER: Final = "User"
SOURCE_USER_HINT: Final = "For a token, the user that the server expects, for example oauth2"
SOURCE_PASSWORD: Final = "Password or token"  # noqa: S105 a label
SOURCE_KEY: Final = "Private SSH key"
SOURCE_KEY_HINT: Final = "Ed25519, ECDSA or RSA, without passphrase. Prefer a read-only deploy key"
SOURCE_HOOKS: Final = "Webhooks"
SOURCE_HOOKS_CHOICES: Final = {"none": "Off", "secret": "On, with this secret"}
SOURCE_HOOKS_KEEP: Final = "On, with the stored secret"
SOURCE_HOOK_SECRET: Final = "Webhook secret"  # noqa: S105 a label
SOURCE_HOOK_HINT: Final = "At least 16 characters, as configured on the git server. It is not shown again"
SOURCE_PIN_TITLE: Final = "SSH host key of {server}"
SOURCE_PIN_HOW: Final = "Compare it on the server with: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
SOURCE_PIN: Final = "The keys match: trust it and continue"
SOURCE_SAVE: Final = "Save"
SOURCE_SAVING: Final = "Testing"
SOURCE_GONE: Final = "This source does not exist"
SOURCE_STATE_REMOVED: Final = "Removed"
