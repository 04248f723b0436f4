"""The list of templates, and one template in its tabs."""

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
HOLDS: Final = "Holds"
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
MISSING_MARK: Final = "gone from its source"
REFUSED_MARK: Final = "not read now"
MISSING_NOTE: Final = "It is gone from its source. The last revision is kept and can still be used."
REFUSED_NOTE: Final = "It cannot be read from its source now: {why}. The last good revision is shown."
SCRIPT_OPTIONAL: Final = "optional"
SCRIPT_TIMEOUT: Final = "{seconds} s at most"
OWNER_OF_FOLDER: Final = "as its folder"
BINARY_FILE: Final = "A binary file of {size}"
NO_SUCH_TEMPLATE: Final = "This template does not exist or was removed"
MISSING_TEMPLATE_DETAIL: Final = "The address is wrong, or what it names is gone."
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
PRIVILEGED_MARK_NOTE: Final = "Its containers are privileged: their root is the node's root"
FINDINGS_MARK_NOTE: Final = "What its checks found; see its Config"
DRAFT_MARK: Final = "your draft"
DRAFT_MARK_NOTE: Final = "You have changes of it that are not saved"
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
CONFIG_ASKED: Final = "asked for in the wizard"
# Label, unit, and what PVE makes of it.
TEMPLATE_FIELDS: Final = {
    "app": ("App", "", "Nothing: the name that people see here"),
    "description": ("Description", "", "Nothing: what people read here"),
    "tags": ("Tags", "", "tags: by which PVE's own pages group and filter guests"),
    "os": ("OS", "", "ostemplate: the newest OS template of this name that a storage of the node has"),
    "cpu": ("Cores", "cores", "cores: how many of the node's it may use at once"),
    "ram_mib": ("Memory", "MiB", "memory: above it, its processes are killed"),
    "swap_mib": ("Swap", "MiB", "swap: what may be swapped out beside the memory, on the node's swap space"),
    "disk_gib": ("Disk", "GiB", "rootfs: the size of its volume, which can grow later and not shrink"),
    "storage": ("Storage", "", "rootfs: where that volume lies. It must allow containers"),
    "bridge": ("Bridge", "", "net0: the bridge of the node that its network device joins"),
    "unprivileged": ("Unprivileged", "", "unprivileged: its root is an ordinary user of the node"),
    "nesting": ("Nesting", "", "features: lets systemd of newer guests work, and containers within"),
    "keyctl": ("keyctl", "", "features: lets Docker work in an unprivileged container. Only root@pam may set it"),
    "fuse": ("FUSE", "", "features: lets it mount FUSE file systems. Only root@pam may set it"),
    "network": ("Scripts need the network", "", "if not, a job without packages does not wait for an address"),
}
DOWNLOAD: Final = "Download"
FILE: Final = "File"
SCRIPTS_ORDER: Final = "Scripts in the order of their run"
NO_SCRIPTS_HERE: Final = "No scripts. Its containers are ready once packages and files are in place."
NO_PACKAGES_HERE: Final = "No packages"
NO_FILES_HERE: Final = "No files"
NO_FINDINGS: Final = "The checks found nothing."
SCRIPT_OFF: Final = "not run"
SCRIPT_OFF_NOTE: Final = "It is switched off. The wizard can switch it on"
SCRIPT_OPTIONAL_NOTE: Final = "Where it fails, the run goes on"
SECONDS: Final = "{seconds} s"
SHARED_BUCKET: Final = "shared bucket"
SHARED_BUCKET_NOTE: Final = "Taken from a shared bucket when this revision was made"
INSTALLED_UNLESS: Final = "Installed unless"
INSTALLED_BY: Final = "Installed by"
AT_MOST: Final = "At most"
TARGET: Final = "In the guest"
POLICY: Final = "Policy"
POLICY_NOTES: Final = {
    "replace": "Overwrites what is there",
    "default": "Keeps what is there",
    "backup": "Renames what is there, with the time in its name",
}
MODE: Final = "Mode"
OWNER: Final = "Owner"
SIZE: Final = "Size"
CONTENT: Final = "Content"
KIND_TEXT: Final = "text"
KIND_BINARY: Final = "binary"
LONG_FILE: Final = "A text of {size}, too long to be shown. Download it"
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
COMPARE_HINT: Final = "Choose two revisions to see what differs between them."
COMPARED: Final = "From r{old} to r{new}"
COMPARED_SAME: Final = "r{old} and r{new} hold the same"
RESTORE: Final = "Restore"
RESTORE_TITLE: Final = "Restore revision"
RESTORE_CONSEQUENCE: Final = (
    "A new revision is made that holds what this one held. Nothing is lost: the present one stays in the list."
)
RESTORE_NOTE: Final = "Note"
RESTORE_NOTE_HINT: Final = "Why, for who reads the list of revisions later"
RESTORED: Final = "Restored r{number} as r{made}"
NOTHING_BUILT: Final = "No container was built from it"
NOTHING_BUILT_NEXT: Final = "Those that are stand here, with their revision and what is new since."
BUILT_ALL_CURRENT: Final = "None is of an older revision."
BUILT_OLDER_ONE: Final = "1 is of an older revision."
BUILT_OLDER: Final = "{count} are of older revisions."
BUILT_UNSEEN: Final = "Not listed by PVE for this user, or not there now: {count} more."
BUILT_OLDER_MARK: Final = "older"
WHAT_WOULD_CHANGE: Final = "What would change"
BUILT_AT: Final = "Built"
NEW_TEMPLATE: Final = "New template"
EDIT_TEMPLATE: Final = "Edit"
EDIT_COPY: Final = "Edit a copy"
DELETE_TEMPLATE: Final = "Delete"
DELETE_TEMPLATE_TITLE: Final = "Delete template {name}?"
DELETE_TEMPLATE_CONSEQUENCE: Final = (
    "It leaves the list with all its revisions. Containers that were built from it stay, and so does the record of what "
    "they were built from."
)
DELETE_TEMPLATE_ASK: Final = "Type {name} to confirm"
DELETED_TEMPLATE: Final = "Deleted template {name}"
DELETED_KEPT: Final = "Deleted template {name}. Its revisions are kept for the containers that were built from it"
DELETED_MARK: Final = "deleted"
DELETED_NOTE: Final = (
    "It was deleted. Its revisions are kept for the containers that were built from it; restore one to have it again."
)
BUILT_AS: Final = "Built as {name}, renamed since"
