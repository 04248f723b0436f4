"""The editor of a template."""

from __future__ import annotations

from typing import Final

# Template editor
EDITOR_NEW: Final = "New template"
EDITOR_EDIT: Final = "Edit"
EDITOR_PARTS: Final = {"config": "Config", "scripts": "Scripts", "packages": "Packages", "files": "Files"}
EDITOR_PARTS_LABEL: Final = "Parts of the template"
EDITOR_OF: Final = "r{number}, being edited"
EDITOR_COPY_OF: Final = "A copy; the template that it was made from stays as it is."
DRAFT_KEPT: Final = "Draft kept {at}"
DRAFT_NOTHING: Final = "No changes"
DRAFT_NOT_KEPT: Final = "The draft is not kept: {why}. What you typed is still here."
DRAFT_KEEP_AGAIN: Final = "Keep again"
DRAFT_RESUMED: Final = "You go on with a draft of yours that is not saved yet. Discard it to begin again."
DRAFT_KEEP_MINE: Final = "Keep what this window holds"
DRAFT_TAKE_OTHER: Final = "Show what the other window has kept"
DISCARD_DRAFT: Final = "Discard draft"
DISCARD_TITLE: Final = "Discard the draft of {name}?"
DISCARD_CONSEQUENCE: Final = "All changes since the last save are lost. Saved revisions stay."
DRAFT_DISCARDED: Final = "Discarded the draft"
DRAFT_NONE: Final = "No draft is open here any more: it was saved or discarded. Open the template to edit it again"
LEAVE_TITLE: Final = "Leave with unsaved changes?"
LEAVE_CONSEQUENCE: Final = (
    "The changes are not saved as a revision. The draft is kept: open the editor again and go on where you stopped."
)
LEAVE_STAY: Final = "Stay"
LEAVE_GO: Final = "Leave, keep the draft"
SAVE: Final = "Save"
SAVE_TITLE: Final = "Save {name}"
SAVE_WHAT_CHANGES: Final = "What will change"
SAVE_NEW: Final = "A new template, revision r1."
SAVE_NOTHING: Final = "Nothing differs from the saved revision."
SAVE_NOTE: Final = "Note"
SAVE_NOTE_HINT: Final = "What this change is for; it stands with the revision"
SAVED: Final = "Saved {name} as r{number}"
SAVED_NOTHING: Final = "Nothing had changed; {name} stays at r{number}"
SAVE_TO_MEND: Final = "Not saved: {count} to mend"
SAVE_OTHER_FAULTS: Final = "To mend"
OVERTAKEN_TITLE: Final = "{author} saved r{number} while you edited"
OVERTAKEN_COMPARE: Final = "Compare"
OVERTAKEN_TAKE: Final = "Take over these changes"
OVERTAKEN_TAKE_HINT: Final = (
    "What only {author} changed is put into your draft. Where both of you changed the same, yours stays and is named."
)
OVERTAKEN_OVER: Final = "Save over r{number}"
OVERTAKEN_OVER_TITLE: Final = "Save over r{number} of {author}?"
OVERTAKEN_OVER_CONSEQUENCE: Final = (
    "Your draft becomes the newest revision as it is. What {author} changed in r{number} is not in it; r{number} itself stays "
    "among the revisions."
)
OVERTAKEN_COMPARE_TITLE: Final = "From r{number} of {author} to your draft"
TAKEN_OVER: Final = "Took over the changes of r{number}"
TAKEN_BUT: Final = "Yours was kept where both changed: {names}"
CONFIG_GROUPS: Final = {
    "about": "About",
    "resources": "Resources",
    "system": "System and place",
    "features": "Features",
}
CONFIG_FIELDS: Final = {
    "name": ("Name", "1 to 63 letters, digits, . _ and -; of the template, unique among custom ones"),
    "app": ("Application", "The name people see; one line, at most 100 characters"),
    "tags": ("Tags", "Separated by ; letters, digits and _ + . -; at most 50"),
    "description": ("Description", "At most 8,000 characters"),
    "cpu": ("Cores", "1 to 8192; PVE: cores, what the guest sees as its CPUs"),
    "ram_mib": ("Memory (MiB)", "16 to 67108864; PVE: memory, the most that the guest may use"),
    "swap_mib": ("Swap (MiB)", "0 to 67108864; PVE: swap, beyond its memory"),
    "disk_gib": ("Disk (GiB)", "1 to 1048576; PVE: size of rootfs"),
    "os": ("OS", "As in the names of OS templates, such as debian. Empty: the wizard asks"),
    "version": ("Version", "Of the OS, such as 13. Empty: the wizard asks"),
    "storage": ("Storage", "Where PVE puts rootfs, such as local-lvm. Empty: the wizard asks"),
    "bridge": ("Bridge", "PVE: bridge of net0, such as vmbr0. Empty: the wizard asks"),
    "unprivileged": (
        "Unprivileged",
        "PVE: unprivileged=1. Root in the guest is nobody on the node. Without it, root of the guest is root of the node",
    ),
    "nesting": ("Nesting", "PVE: features nesting=1. For systemd in newer guests and for nested containers"),
    "keyctl": ("keyctl", "PVE: features keyctl=1. For Docker in an unprivileged container; only root@pam may set it"),
    "fuse": ("FUSE", "PVE: features fuse=1. For FUSE file systems; only root@pam may set it"),
    "network": (
        "Scripts need the network",
        "Off: where no packages are installed, a job that enters the guest by pct does not wait for its address",
    ),
}
PRIVILEGED_WARNING: Final = "Privileged: root in the guest is root on the node."
SCRIPTS_HINT: Final = (
    "They run as root, in this order. The number before a name says the order: moving a script gives it another number."
)
SCRIPT_KEYS: Final = "Drag a script, or press Alt with the arrow keys on it."
SCRIPT_ADD: Final = "Add script"
SCRIPT_REMOVE: Final = "Remove script"
SCRIPT_REMOVE_TITLE: Final = "Remove {name} from the draft?"
SCRIPT_REMOVE_CONSEQUENCE: Final = "It stays in the revisions that are saved already."
SCRIPT_MOVED: Final = "{name} runs as {place} of {all}"
SCRIPT_NONE: Final = "No scripts. What the packages do not do, a script does."
SCRIPT_FIELDS: Final = {
    "name": (
        "File name",
        "NN-name.sh; 00-09 checks, 10-39 core, 40-69 applications, 70-89 configuration, 90-99 verification",
    ),
    "description": ("Description", "Shown in the wizard and while it runs"),
    "timeout_s": ("Timeout (s)", "1 to 86400; then it is stopped and counts as failed"),
    "enabled": ("Enabled", "Runs unless the wizard leaves it out"),
    "optional": ("Optional", "When it fails, the run goes on"),
}
SCRIPT_TEXT: Final = "Text of the script"
SCRIPT_DISABLED_MARK: Final = "off"
LINT_TITLE: Final = "ShellCheck"
LINT_NONE: Final = "ShellCheck finds nothing."
LINT_RUNNING: Final = "ShellCheck is reading"
LINT_LINE: Final = "Line {line}"
LINT_LEVELS: Final = {"error": "Error", "warning": "Warning", "info": "Note", "style": "Style"}
PACKAGES_HINT: Final = (
    "One package a line, with versions in the manager's own way (nginx=1.26.3-3, flask>=3.0). A # begins a comment, which the "
    "draft forgets. custom: name|check|install[|timeout_s=300]"
)
PACKAGES_NONE: Final = "No packages."
PACKAGES_LIST: Final = "Packages of {name}"
PACKAGES_ADD_LIST: Final = "Add a list"
PACKAGES_ADD_SHARED: Final = "Add a shared bucket"
PACKAGES_SHARED_NOTE: Final = (
    "A shared bucket: the template takes what it holds at each save. It is edited under Package buckets."
)
PACKAGES_SHARED_CHOOSE: Final = "Choose a bucket"
PACKAGES_NO_SHARED: Final = "There are no shared buckets that this template does not have."
PACKAGES_FIELDS: Final = {"name": "Name of the list", "manager": "Manager", "lines": "Packages"}
PACKAGES_TWICE: Final = "There is a list {name} of {manager} already"
FILE_ADD_TEXT: Final = "New text file"
FILE_UPLOAD: Final = "Upload files"
FILE_REPLACE: Final = "Upload other content"
FILE_DOWNLOAD: Final = "Download"
FILE_REMOVE: Final = "Remove file"
FILE_NONE: Final = "No files. A file is put into the guest before the packages and scripts."
FILE_TOO_LONG: Final = "{name} is longer than 16 MiB"
FILE_AT_MOST: Final = "A file is at most {mib} MiB"
FILE_FAILED: Final = "{name} was not taken"
FILE_SENDING: Final = "Sending {name}"
FILE_BINARY: Final = "Not shown here: no text, or longer than 512 KiB."
FILE_TEXT: Final = "Content"
FILE_FIELDS: Final = {
    "name": ("File name", "Without a folder; each name once in a template"),
    "target_dir": ("Directory in the guest", "An absolute path, such as /etc/nginx/conf.d"),
    "policy": ("If it exists", ""),
    "mode": ("Mode", "In octal, such as 0644; 0755 for programs"),
    "owner": ("Owner", "user or user:group, as names or numbers. Empty: as its directory"),
}
FILE_POLICIES: Final = {
    "default": "Keep what exists",
    "replace": "Overwrite it",
    "backup": "Rename it to .backup-DATE, then write",
}
DIFF_KINDS: Final = {"added": "added", "removed": "removed", "changed": "changed", "moved": "moved"}
DIFF_BINARY: Final = "{old} B, now {new} B"
DIFF_CUT: Final = "More lines differ than are shown."
CODE_TOO_LONG: Final = "That would be longer than 1 MiB, the most that is taken here. It was left as it was"
