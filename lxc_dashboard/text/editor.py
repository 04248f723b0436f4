"""Texts of the template editor."""

from __future__ import annotations

from typing import Final

# Template editor
EDITOR_NEW: Final = "New template"
EDITOR_EDIT: Final = "Edit"
EDITOR_PARTS: Final = {"config": "Config", "scripts": "Scripts", "packages": "Packages", "files": "Files"}
EDITOR_PARTS_LABEL: Final = "Parts of the template"
EDITOR_OF: Final = "Editing r{number}"
EDITOR_COPY_OF: Final = "A copy. The original template is not changed."
DRAFT_KEPT: Final = "Draft stored {at}"
DRAFT_NOTHING: Final = "No changes"
DRAFT_NOT_KEPT: Final = "The draft is not stored: {why}. Your changes are still on this page."
DRAFT_KEEP_AGAIN: Final = "Try again"
DRAFT_RESUMED: Final = "This is your draft from earlier. Discard it to start from the saved revision."
DRAFT_KEEP_MINE: Final = "Keep this window's changes"
DRAFT_TAKE_OTHER: Final = "Show the other window's changes"
DISCARD_DRAFT: Final = "Discard draft"
DISCARD_TITLE: Final = "Discard the draft of {name}?"
DISCARD_CONSEQUENCE: Final = "All changes since the last save are lost. Saved revisions stay."
DRAFT_DISCARDED: Final = "Discarded the draft"
DRAFT_NONE: Final = "This draft was saved or discarded. Open the template to edit it again"
LEAVE_TITLE: Final = "Leave with unsaved changes?"
LEAVE_CONSEQUENCE: Final = (
    "The changes are not saved as a revision, but the draft is stored. Open the editor again to continue."
)
LEAVE_STAY: Final = "Stay"
LEAVE_GO: Final = "Leave and keep the draft"
SAVE: Final = "Save"
SAVE_TITLE: Final = "Save {name}"
SAVE_WHAT_CHANGES: Final = "What will change"
SAVE_NEW: Final = "A new template, revision r1."
SAVE_NOTHING: Final = "No changes since the saved revision."
SAVE_NOTE: Final = "Note"
SAVE_NOTE_HINT: Final = "Why you make this change; shown in the list of revisions"
SAVED: Final = "Saved {name} as r{number}"
SAVED_NOTHING: Final = "No changes: {name} stays at r{number}"
SAVE_INVALID: Final = "Not saved: {count} invalid"
SAVE_OTHER_FAULTS: Final = "Fix these first"
OVERTAKEN_TITLE: Final = "{author} saved r{number} while you edited"
OVERTAKEN_COMPARE: Final = "Compare"
OVERTAKEN_TAKE: Final = "Merge these changes"
OVERTAKEN_TAKE_HINT: Final = "Merges the changes of {author} into your draft. Where you both changed the same field, your value stays and is listed."
OVERTAKEN_OVER: Final = "Save over r{number}"
OVERTAKEN_OVER_TITLE: Final = "Save over r{number} by {author}?"
OVERTAKEN_OVER_CONSEQUENCE: Final = "Your draft becomes the newest revision, without the changes of {author} in r{number}. Revision r{number} stays in the list."
OVERTAKEN_COMPARE_TITLE: Final = "From r{number} by {author} to your draft"
TAKEN_OVER: Final = "Merged the changes of r{number}"
TAKEN_BUT: Final = "Your values stay in: {names}"
CONFIG_GROUPS: Final = {
    "about": "About",
    "resources": "Resources",
    "system": "System and place",
    "features": "Features",
}
CONFIG_FIELDS: Final = {
    "name": ("Name", "1 to 63 letters, digits, . _ and -; unique among custom templates"),
    "app": ("Application", "Shown to users; one line, at most 100 characters"),
    "tags": ("Tags", "Separate with semicolons; letters, digits and _ + . -; at most 50 tags"),
    "description": ("Description", "At most 8,000 characters"),
    "cpu": ("Cores", "1 to 8192; PVE: cores, the CPUs of the guest"),
    "ram_mib": ("Memory (MiB)", "16 to 67108864; PVE: memory, the limit of the guest"),
    "swap_mib": ("Swap (MiB)", "0 to 67108864; PVE: swap, in addition to memory"),
    "disk_gib": ("Disk (GiB)", "1 to 1048576; PVE: size of rootfs"),
    "os": ("OS", "As in the names of OS templates, for example debian. Empty: choose in the wizard"),
    "version": ("Version", "Of the OS, for example 13. Empty: choose in the wizard"),
    "storage": ("Storage", "PVE: storage of rootfs, for example local-lvm. Empty: choose in the wizard"),
    "bridge": ("Bridge", "PVE: bridge of net0, for example vmbr0. Empty: choose in the wizard"),
    "unprivileged": (
        "Unprivileged",
        "PVE: unprivileged=1. Root in the guest has no privileges on the node. Without it, root in the guest is root on the node",
    ),
    "nesting": ("Nesting", "PVE: features nesting=1. For systemd in newer guests, and for nested containers"),
    "keyctl": ("keyctl", "PVE: features keyctl=1. For Docker in an unprivileged container; only root@pam may set it"),
    "fuse": ("FUSE", "PVE: features fuse=1. For FUSE file systems; only root@pam may set it"),
    "network": (
        "Scripts need the network",
        "Off: a job without packages that uses pct does not wait for the guest's address",
    ),
}
PRIVILEGED_WARNING: Final = "Privileged: root in the guest is root on the node."
SCRIPTS_HINT: Final = (
    "Scripts run as root, in the order of the numbers in their names. Moving a script changes its number."
)
SCRIPT_KEYS: Final = "Drag a script, or press Alt with the arrow keys on it."
SCRIPT_ADD: Final = "Add script"
SCRIPT_REMOVE: Final = "Remove script"
SCRIPT_REMOVE_TITLE: Final = "Remove {name} from the draft?"
SCRIPT_REMOVE_CONSEQUENCE: Final = "Saved revisions keep it."
SCRIPT_MOVED: Final = "{name} is now {place} of {all}"
SCRIPT_NONE: Final = "No scripts. Add one for steps that packages do not cover."
SCRIPT_FIELDS: Final = {
    "name": (
        "File name",
        "NN-name.sh; 00-09 checks, 10-39 core, 40-69 applications, 70-89 configuration, 90-99 verification",
    ),
    "description": ("Description", "Shown in the wizard and while it runs"),
    "timeout_s": ("Timeout (s)", "1 to 86400; after this time the script is stopped and fails"),
    "enabled": ("Enabled", "Runs by default; the wizard can disable it"),
    "optional": ("Optional", "The job continues if it fails"),
}
SCRIPT_TEXT: Final = "Text of the script"
SCRIPT_DISABLED_MARK: Final = "off"
LINT_TITLE: Final = "ShellCheck"
LINT_NONE: Final = "ShellCheck has no findings."
LINT_RUNNING: Final = "ShellCheck is running"
LINT_LINE: Final = "Line {line}"
LINT_LEVELS: Final = {"error": "Error", "warning": "Warning", "info": "Note", "style": "Style"}
PACKAGES_HINT: Final = "One package per line, with versions in the manager's syntax (nginx=1.26.3-3, flask>=3.0). Comments after # are not stored. custom: name|check|install[|timeout_s=300]"
PACKAGES_NONE: Final = "No packages."
PACKAGES_LIST: Final = "Packages of {name}"
PACKAGES_ADD_LIST: Final = "Add a list"
PACKAGES_ADD_SHARED: Final = "Add a shared bucket"
PACKAGES_SHARED_NOTE: Final = "A shared bucket: each save stores its current packages. Edit it under Package buckets."
PACKAGES_SHARED_CHOOSE: Final = "Choose a bucket"
PACKAGES_NO_SHARED: Final = "There are no more shared buckets to add."
PACKAGES_FIELDS: Final = {"name": "Name of the list", "manager": "Manager", "lines": "Packages"}
PACKAGES_TWICE: Final = "A list {name} for {manager} already exists"
FILE_ADD_TEXT: Final = "New text file"
FILE_UPLOAD: Final = "Upload files"
FILE_REPLACE: Final = "Replace by an upload"
FILE_DOWNLOAD: Final = "Download"
FILE_REMOVE: Final = "Remove file"
FILE_NONE: Final = "No files. Files are copied into the guest before packages and scripts."
FILE_TOO_LONG: Final = "{name} is longer than 16 MiB"
FILE_AT_MOST: Final = "A file is at most {mib} MiB"
FILE_FAILED: Final = "{name} was not stored"
FILE_SENDING: Final = "Sending {name}"
FILE_BINARY: Final = "Not shown: a binary file, or longer than 512 KiB."
FILE_TEXT: Final = "Content"
FILE_FIELDS: Final = {
    "name": ("File name", "Without a folder; unique in the template"),
    "target_dir": ("Directory in the guest", "An absolute path, for example /etc/nginx/conf.d"),
    "policy": ("If it exists", ""),
    "mode": ("Mode", "Octal, for example 0644; 0755 for programs"),
    "owner": ("Owner", "user or user:group, names or numbers. Empty: the owner of the directory"),
}
FILE_POLICIES: Final = {
    "default": "Keep the existing file",
    "replace": "Overwrite it",
    "backup": "Rename it to .backup-DATE, then write",
}
DIFF_KINDS: Final = {"added": "added", "removed": "removed", "changed": "changed", "moved": "moved"}
DIFF_BINARY: Final = "{old} B → {new} B"
DIFF_CUT: Final = "Further changes are not shown."
CODE_TOO_LONG: Final = "The limit is 1 MiB. The text was not changed"
