"""Texts of the wizard that creates containers, and of batches."""

from __future__ import annotations

from typing import Final

CREATE_TITLE: Final = "New container"
MISSING_BEGUN_DETAIL: Final = "The address is wrong, the item is gone, or you cannot see it."
STEP_NAMES: Final = {
    "template": "Template",
    "configure": "Configure",
    "packages": "Packages",
    "scripts": "Scripts",
    "review": "Review",
}
WIZARD_STEPS: Final = "Steps"
BACK: Final = "Back"
NEXT: Final = "Next"
CREATE: Final = "Create"
CREATING: Final = "Creating"
START_OVER: Final = "Start again"
SUMMARY: Final = "Container to create"
NO_TEMPLATE: Final = "No template"
NO_TEMPLATE_HINT: Final = "An empty container from an OS template"
HOSTNAME: Final = "Hostname"
RESOURCES: Final = "Resources"
ESSENTIAL: Final = "Essential"
NETWORK: Final = "Network"
ACCESS: Final = "Access"
ADVANCED: Final = "Advanced"
TO_DOWNLOAD: Final = "Download first"
OS_PRESENT: Final = "On this node"
NOT_OFFERED: Final = "Some choices are unavailable:"
CHANGED: Final = "changed"
RESET_FIELD: Final = "Reset {field} to the template's default"
TEMPLATE_GONE: Final = "{template} no longer exists: no template is selected"
FELL_BACK: Final = "{field} {was} is no longer on {node}: {now} is used instead"
# Beside a field: the node lacks the template's value, so another value is selected
STANDS_IN: Final = {
    "ostemplate": "The template needs {wish}. Neither {node} nor PVE's list has it: {now} is selected instead",
    "storage": "The template uses storage {wish}, which {node} does not have: {now} is selected instead",
    "bridge": "The template uses bridge {wish}, which {node} does not have: {now} is selected instead",
}
# The same, for a user who does not see every storage
STANDS_IN_UNSEEN: Final = {
    "ostemplate": "The template needs {wish}. No storage that you can see on {node} has it, nor does PVE's list: {now} is selected instead. You need Datastore.Audit to see a storage",
    "storage": "The template uses storage {wish}. It is not on {node}, or you lack Datastore.Audit at /storage/{wish}. {now} is selected instead",
}
REPLACED: Final = "{node} does not have {was}: {now} is selected instead"
SCRIPTS_GONE: Final = "Scripts that the template no longer has: {scripts}"
NOT_FILLED: Final = "Some fields could not be filled in:"
FROM_DRAFT: Final = "Filled in from your draft, saved {ago}. Choose Start again for an empty form."
FIND_TEMPLATE: Final = "Filter by name, OS, description…"
AS_COMMAND: Final = "As a command"
AS_COMMAND_LEAD: Final = (
    "Creates the same container without the dashboard, without the template's packages, files and scripts. "
    "Set the root password and the API token yourself."
)
AS_PCT: Final = "With pct, on the node as root"
AS_API: Final = "With curl, over the API"
COPY_COMMAND: Final = "Copy command"
PRESETS: Final = "Presets"
PRESETS_LEAD: Final = (
    "Save these choices to start from next time: all fields except hostname, CT ID and addresses, with template, packages and scripts. "
    "Passwords are not saved."
)
PRESET_NAME: Final = "Name"
PRESET_SHARE: Final = "Share with all who use this endpoint"
PRESET_SHARE_NEEDS: Final = "Sharing needs {privilege} at /vms or at a pool in PVE"
PRESET_SAVE: Final = "Save as preset"
PRESET_SAVED: Final = "Saved preset {name}"
PRESET_USED: Final = "Filled in from preset {name}"
PRESET_USE: Final = "Use"
PRESET_UNSHARE: Final = "Stop sharing"
PRESET_SHARE_ONE: Final = "Share"
PRESET_RENAME: Final = "Rename"
PRESET_OVERWRITE: Final = "Overwrite"
PRESET_OVERWRITE_TITLE: Final = "Overwrite {name}?"
PRESET_OVERWRITE_LOSS: Final = "The preset gets the present choices. Its former content is lost."
PRESET_DELETE: Final = "Delete"
PRESET_DELETE_TITLE: Final = "Delete preset {name}?"
PRESET_DELETE_LOSS: Final = "Nobody can use it afterwards. Containers do not change."
PRESET_MINE: Final = "yours"
PRESET_SHARED: Final = "yours, shared"
PRESET_OF: Final = "shared by {owner}"
PRESET_RIGHT: Final = "with {privilege} at {path}"
PROPOSED_PRESET: Final = "Use preset {name}?"
PROPOSED_BY: Final = "Shared by {owner}, who had {privilege} at {path} at the last change"
PROPOSED_LINK: Final = "Fill in the form from this link?"
PROPOSED_LINK_BY: Final = "Anybody can make a link, even without rights in PVE. Use it only if you trust its sender."
PROPOSED_CHANGES: Final = "It changes these defaults"
PROPOSED_NOTHING: Final = "It changes no default."
PROPOSED_USE: Final = "Use this preset"
PROPOSED_USE_LINK: Final = "Fill in the form"
PRIVILEGED_MEANS: Final = "The container's root is the node's root"
SWITCHED_ON: Final = "On"
SWITCHED_OFF: Final = "Off"
CHANGED_LISTS: Final = {
    "extras": "Packages added",
    "packages_off": "Packages left out",
    "scripts_on": "Scripts switched on",
    "scripts_off": "Scripts switched off",
    "scripts": "Order of scripts",
}
NO_PRESETS: Final = "No presets yet: neither your own nor shared ones."
NO_SUCH_PRESET: Final = "This preset does not exist or was deleted"
FROM_PRESET: Final = "preset"
SHARE_LINK: Final = "Share as a link"
LINK_LEAD: Final = (
    "Anybody who can sign in at this endpoint gets the wizard with these values. The link has no password. It has notes and public keys "
    "if they fit: share it only with people who may read them."
)
LINK: Final = "Link"
COPY_LINK: Final = "Copy link"
LINK_LACKS: Final = "Left out because the link would be too long: {fields}"
LINK_LISTS: Final = {
    "packages_off": "packages left out",
    "extras": "packages added",
    "scripts": "order of scripts",
    "scripts_off": "scripts switched off",
}
FROM_LINK: Final = "Filled in from a link. Check the values before you create: owners of the SSH keys get root access."
LINK_UNREADABLE: Final = "The link is incomplete or from another version. Ask for a new one"
EDITS: Final = (
    "You are editing the failed job {job}. Creating destroys what it left, then creates this container instead."
)
TEMPLATE_SINCE: Final = "{template}; the failed job used r{then}"
MOVED_ON: Final = (
    "The failed job used r{then} of {template}. The template has changed: this form and the new job use r{now}."
)
MOVED_ON_DIFF: Final = "What has changed"
EDITS_AS_NEW: Final = "Create another container instead"
START_OVER_TITLE: Final = "Start again?"
START_OVER_CONSEQUENCE: Final = "Your choices and input are discarded. Nothing was created yet."
STEP_INVALID: Final = "{step}, has errors"
GO_TO: Final = "Go to {place}"
NEXT_FREE: Final = "Next free"
OPTIONS: Final = "Options"
PRIVILEGED: Final = "Privileged"
DISK: Final = "Disk"
CORES: Final = {"one": "{count} core", "many": "{count} cores"}
RESOURCES_LINE: Final = "{cores}, {memory} MiB, {disk} GiB"
LEFT_OF: Final = "{left} of {free} GiB free after this"
LEFT_ON: Final = "{left} of {free} GiB free on {storage} after this"
NODE_DOWN: Final = "{node} (does not answer)"
NODE_FREE: Final = "{node} ({free} of {total} GiB memory free)"
STORAGE_FREE: Final = "{storage} ({type}, {free} GiB free)"
OS_ON_STORAGE: Final = "{name} on {storage}"
OS_ON_STORAGE_SIZED: Final = "{name} on {storage} ({size} MiB packed)"
BRIDGE_AWARE: Final = "{bridge} (VLAN aware)"
APPLIANCES: Final = "Find another OS template"
APPLIANCE_SEARCH: Final = "Search all that PVE offers"
APPLIANCE_SEARCH_HINT: Final = "By name, system, section or title"
APPLIANCE_STORAGE: Final = "Download to"
APPLIANCE_THERE: Final = "on this node"
APPLIANCE_TAKE: Final = "Choose"
APPLIANCE_DOWNLOAD: Final = "Download now"
APPLIANCE_MORE: Final = "{count} found, only the first are shown"
APPLIANCE_NONE: Final = "None found"
FETCHING: Final = "Downloading {template} to {storage}"
FETCH_STOP: Final = "Stop the download"
FETCH_STOPPING: Final = "Stopping"
FETCH_DONE: Final = "Downloaded {template} to {storage} and selected it."
FETCH_STOPPED: Final = "Stopped the download of {template}."
FETCH_FAILED: Final = "The download of {template} failed:"
SHOW_SCRIPT: Final = "Show what it does"
FIELD_LABELS: Final = {
    "node": "Node",
    "ostemplate": "OS template",
    "hostname": "Hostname",
    "hostname_pattern": "Hostname pattern",
    "vmid": "CT ID",
    "cores": "Cores",
    "memory_mib": "Memory (MiB)",
    "swap_mib": "Swap (MiB)",
    "disk_gib": "Disk (GiB)",
    "storage": "Storage",
    "mounts": "Mount points",
    "password_mode": "Root password",
    "password": "Password",
    "ssh_keys": "SSH public keys",
    "bridge": "Bridge",
    "vlan": "VLAN tag",
    "ipv4_mode": "IPv4",
    "ipv4_address": "IPv4 address",
    "ipv4_range": "IPv4 range",
    "ipv4_gateway": "IPv4 gateway",
    "ipv6_mode": "IPv6",
    "ipv6_address": "IPv6 address",
    "ipv6_range": "IPv6 range",
    "ipv6_gateway": "IPv6 gateway",
    "nameserver": "DNS servers",
    "searchdomain": "Search domain",
    "mtu": "MTU",
    "firewall": "Firewall on its network device",
    "unprivileged": "Unprivileged",
    "nesting": "Nesting",
    "keyctl": "keyctl",
    "fuse": "FUSE",
    "tags": "Tags",
    "pool": "Pool",
    "onboot": "Start at boot",
    "pause_after_create": "Pause before the first start",
    "start_order": "Start order",
    "description": "Notes",
}
FIELD_HINTS: Final = {
    "hostname_pattern": "Empty: one container. Patterns: web-{01..20}, {a,b,c}; at most 100",
    "vmid": "Empty: the next free one",
    "ssh_keys": "One on each line, for root",
    "vlan": "Empty: none",
    "ipv4_address": "With prefix, for example 10.0.0.5/24",
    "ipv6_address": "With prefix, for example fd00::5/64",
    "ipv4_range": "Picks free addresses from this range, for example 10.0.0.10-10.0.0.40/24",
    "ipv6_range": "Picks free addresses from this range, for example fd00::10-fd00::40/64",
    "nameserver": "Empty: the node's",
    "searchdomain": "Empty: the node's",
    "mtu": "Empty: the bridge's",
    "tags": "Separate with spaces",
    "unprivileged": "The container's root is not the node's root",
    "nesting": "For systemd in newer guests and for nested containers",
    "keyctl": "For Docker in an unprivileged container. Only root@pam",
    "fuse": "root@pam only",
    "start_order": "Lower starts earlier",
    "pause_after_create": "Change the container in PVE first; continue on the job's page",
}
TAKE_FREE: Final = "Take the next free {family} address"
TAKING_FREE: Final = "Looking for a free address"
ADDRESS_UNKNOWN: Final = {
    "one": "The addresses of 1 container are unknown: it may use this one",
    "many": "The addresses of {count} containers are unknown: one of them may use this one",
}
MOUNTS_LEAD: Final = "More volumes and host folders, each mounted at its own path."
MOUNT: Final = "Mount point {number}"
MOUNT_ADD: Final = "Add a mount point"
MOUNT_REMOVE: Final = "Remove mount point"
MOUNT_NODE_FOLDER: Final = "A folder of the node"
MOUNT_FIELDS: Final = {
    "from": "From",
    "source": "Folder of the node",
    "path": "Path in the container",
    "size_gib": "Size (GiB)",
    "backup": "In backups",
    "read_only": "Read-only",
}
MOUNT_SIZED: Final = "{size} GiB on {storage}"
MOUNT_MARKS: Final = {"backup": "backup", "read_only": "read-only"}
MOUNT_HINTS: Final = {
    "source": "Absolute path. Only root@pam; never in backups",
    "path": "For example /srv/data",
}
FIELD_CHOICES: Final = {
    "password_mode": {"generated": "Generate one", "given": "Enter one", "none": "None"},
    "ipv4_mode": {"dhcp": "DHCP", "static": "Static", "none": "None"},
    "ipv6_mode": {"none": "None", "auto": "SLAAC", "dhcp": "DHCP", "static": "Static"},
}
NO_POOL: Final = "None"
NOTHING: Final = "None"
PACKAGES_OF_TEMPLATE: Final = "Packages of the template"
NO_PACKAGES: Final = "The template has no packages."
EXTRA_PACKAGES: Final = "More packages"
MANAGER: Final = "Manager"
PACKAGE: Final = "Package"
ADD: Final = "Add"
REMOVE: Final = "Remove"
SCRIPTS_LEAD: Final = "Scripts run as root in the guest, in this order. A script that fails ends the job."
NO_SCRIPTS: Final = "The template has no scripts."
MOVE_UP: Final = "Move up"
MOVE_DOWN: Final = "Move down"
REVIEW: Final = "Your choices"
PREFLIGHT: Final = "Preflight"
CHECKING: Final = "Checking with PVE"
NOT_CHECKED: Final = "The check failed. Check again."
CHECK_AGAIN: Final = "Check again"
NOTHING_FOUND: Final = "No problems found."
SEVERITY: Final = {"error": "Error", "warning": "Warning"}
PREFLIGHT_FINDINGS: Final = {"error": "Fix these first", "warning": "Check these"}
CHECKED: Final = "Checked"
SEVERAL: Final = "Several at once"
SEVERAL_LEAD: Final = (
    "One container for each name. They differ only in their addresses: DHCP, or static from a range, lowest first. "
    "Each gets the next free CT ID."
)
SEVERAL_TITLE: Final = "{containers}: {spans}"
SEVERAL_COUNTED: Final = "{pattern}, {count} containers"
SEVERAL_PLANNED: Final = "Containers to create"
IP_WORDS: Final = {"dhcp": "DHCP", "auto": "SLAAC", "none": "None", "static": ""}
BATCH: Final = "Batch"
BATCH_OF_JOB: Final = "Show its batch"
BATCH_OF: Final = "of"
BATCH_TOTALS: Final = "Totals"
BATCH_READY: Final = "ready"
BATCH_RUNNING: Final = "running or waiting"
BATCH_FAILED: Final = "failed"
BATCH_ENDED: Final = "cancelled or destroyed"
BATCH_CONTAINERS: Final = "Containers of the batch"
BATCH_CAUSE: Final = "Cause"
BATCH_LOST: Final = "Failed, destroyed"
BATCH_ALL_READY: Final = "All containers are ready."
BATCH_FAILED_NEXT: Final = "Retry all failed jobs from the step where each stopped, or open one to see its output."
BATCH_HIDDEN: Final = "more are hidden: you lack the rights to see them"
BATCH_RETRY: Final = "Retry all failed"
BATCH_RETRYING: Final = "Queueing the failed jobs"
BATCH_RETRIED: Final = "Queued {jobs} again"
BATCH_CANCEL: Final = "Cancel all"
BATCH_CANCEL_TITLE: Final = "Cancel the creation of {containers} of {pattern}?"
BATCH_CANCEL_CONSEQUENCE: Final = (
    "Running jobs stop within 15 s, waiting jobs do not begin. Containers that are ready stay; "
    "unfinished containers stay too. Destroy them from their jobs."
)
BATCH_CANCEL_VERB: Final = "Cancel all of them"
BATCH_CANCELLING: Final = "Cancelling all"
BATCH_CANCELLED: Final = "Cancelling {jobs}"
BATCH_REFUSED: Final = "{count} refused, first {name}: {why}"
BATCH_NOTHING_TO_DO: Final = "Nothing left to do"
NO_SUCH_BATCH: Final = "This batch does not exist or was removed"
MISSING_BATCH: Final = "Batch not found"
MISSING_BATCH_DETAIL: Final = (
    "The address is wrong, the batch is gone, or you can see none of its jobs. You see other users' jobs only if PVE lets you see "
    "the containers."
)
PERCENT: Final = "Done"
