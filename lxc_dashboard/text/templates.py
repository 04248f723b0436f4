"""Texts of the list of templates, and of one template in its tabs."""

from __future__ import annotations

from typing import Final

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
