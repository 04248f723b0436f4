"""The wizard that makes a container."""

from __future__ import annotations

from typing import Final

CREATE_TITLE: Final = "New container"
MISSING_BEGUN_DETAIL: Final = "The address is wrong, or what it names is gone, or not for you to see."
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
SUMMARY: Final = "What will be made"
NO_TEMPLATE: Final = "No template"
NO_TEMPLATE_HINT: Final = "An empty container from an OS template"
HOSTNAME: Final = "Hostname"
RESOURCES: Final = "Resources"
ESSENTIAL: Final = "Essential"
NETWORK: Final = "Network"
ACCESS: Final = "Access"
ADVANCED: Final = "Advanced"
TO_DOWNLOAD: Final = "To be downloaded first"
OS_PRESENT: Final = "On this node"
NOT_OFFERED: Final = "Not all choices can be read:"
CHANGED: Final = "changed"
RESET_FIELD: Final = "Reset {field} to the template's default"
TEMPLATE_GONE: Final = "{template} is not there any more: no template is chosen"
FELL_BACK: Final = "{field} {was} is not there on {node} any more: {now} stands in its place"
# Beside the field: what the template names, where the node has no such one
STANDS_IN: Final = {
    "ostemplate": "The template is made for {wish}, and {node} has no such OS template, nor does PVE offer one: {now} is chosen instead",
    "storage": "The template names the storage {wish}, which {node} does not have: {now} is chosen instead",
    "bridge": "The template names the bridge {wish}, which {node} does not have: {now} is chosen instead",
}
# The same for somebody who may not see every storage
STANDS_IN_UNSEEN: Final = {
    "ostemplate": "The template is made for {wish}. No storage that you see on {node} has such an OS template, nor does PVE offer one: {now} is chosen instead. You need Datastore.Audit at a storage to see it",
    "storage": "The template names the storage {wish}. You do not see it on {node}: it is not there, or you lack Datastore.Audit at /storage/{wish}. {now} is chosen instead",
}
REPLACED: Final = "{was} was chosen, which {node} does not have: {now} is chosen instead"
SCRIPTS_GONE: Final = "The template has no such script any more: {scripts}"
NOT_AS_KEPT: Final = "Not everything could be filled in:"
FROM_DRAFT: Final = "Filled in from your draft, kept {ago}. Start again for an empty form."
FIND_TEMPLATE: Final = "Filter by name, OS, description…"
AS_COMMAND: Final = "As a command"
AS_COMMAND_LEAD: Final = (
    "Makes the same container without the dashboard. What the template does inside it, its packages, files and scripts, is not part of it. "
    "The root password and the API token are yours to set."
)
AS_PCT: Final = "With pct, on the node as root"
AS_API: Final = "With curl, over the API"
COPY_COMMAND: Final = "Copy command"
PRESETS: Final = "Presets"
PRESETS_LEAD: Final = (
    "What is chosen here, to start from the next time: all fields but hostname, CT ID and addresses, with template, packages and scripts. "
    "Passwords are not kept."
)
PRESET_NAME: Final = "Name"
PRESET_SHARE: Final = "Share with all who use this endpoint"
PRESET_SHARE_NEEDS: Final = "Sharing needs {privilege} at /vms or at a pool in PVE"
PRESET_SAVE: Final = "Save as preset"
PRESET_SAVED: Final = "Saved the preset {name}"
PRESET_USED: Final = "Filled in from the preset {name}"
PRESET_USE: Final = "Use"
PRESET_UNSHARE: Final = "Stop sharing"
PRESET_SHARE_ONE: Final = "Share"
PRESET_RENAME: Final = "Rename"
PRESET_OVERWRITE: Final = "Save over"
PRESET_OVERWRITE_TITLE: Final = "Save over {name}?"
PRESET_OVERWRITE_LOSS: Final = "It holds what is chosen here from then on; what it held before is lost."
PRESET_DELETE: Final = "Delete"
PRESET_DELETE_TITLE: Final = "Delete the preset {name}?"
PRESET_DELETE_LOSS: Final = "Nobody can start from it any more. Containers stay as they are."
PRESET_MINE: Final = "yours"
PRESET_SHARED: Final = "yours, shared"
PRESET_OF: Final = "shared by {owner}"
PRESET_RIGHT: Final = "with {privilege} at {path}"
PROPOSED_PRESET: Final = "Use the preset {name}?"
PROPOSED_BY: Final = "Shared by {owner}, who held {privilege} at {path} when it was last changed"
PROPOSED_LINK: Final = "Fill in the form from this link?"
PROPOSED_LINK_BY: Final = (
    "Anybody can write a link, without any right in PVE. Use it only if you trust who gave it to you."
)
PROPOSED_CHANGES: Final = "Beyond the defaults it sets"
PROPOSED_NOTHING: Final = "It sets nothing beyond the defaults."
PROPOSED_USE: Final = "Use this preset"
PROPOSED_USE_LINK: Final = "Fill in the form"
PRIVILEGED_MEANS: Final = "Its root is the node's root"
SWITCHED_ON: Final = "On"
SWITCHED_OFF: Final = "Off"
CHANGED_LISTS: Final = {
    "extras": "Packages added",
    "packages_off": "Packages left out",
    "scripts_on": "Scripts switched on",
    "scripts_off": "Scripts switched off",
    "scripts": "Order of scripts",
}
NO_PRESETS: Final = "There is none yet, of yours or shared at this endpoint."
NO_SUCH_PRESET: Final = "This preset is not there, or not any more"
FROM_PRESET: Final = "preset"
SHARE_LINK: Final = "Share as a link"
LINK_LEAD: Final = (
    "Whoever can sign in at this endpoint gets the wizard filled in as it is here. It holds no password; notes and public keys are in it "
    "where they fit, so share it only with those who may read them."
)
LINK: Final = "Link"
COPY_LINK: Final = "Copy link"
LINK_LACKS: Final = "Too long for a link, so left out: {fields}"
LINK_LISTS: Final = {
    "packages_off": "packages left out",
    "extras": "packages added",
    "scripts": "order of scripts",
    "scripts_off": "scripts switched off",
}
FROM_LINK: Final = (
    "Filled in from a link. Look at what it asks for before you create: keys in it let their owners in as root."
)
LINK_UNREADABLE: Final = "The link cannot be read: it was cut off, or written by another version. Ask for it again"
EDITS: Final = (
    "You are editing the failed job {job}. Creating destroys what it left, then makes this container in its place."
)
TEMPLATE_SINCE: Final = "{template}, where the failed job had r{then}"
MOVED_ON: Final = "The failed job was asked for with r{then} of {template}. That has changed since: what is filled in here, and what runs, is r{now}."
MOVED_ON_DIFF: Final = "What has changed"
EDITS_AS_NEW: Final = "Make another container instead"
START_OVER_TITLE: Final = "Start again?"
START_OVER_CONSEQUENCE: Final = "What was chosen and typed here is forgotten. Nothing was made yet."
STEP_TO_MEND: Final = "{step}, to mend"
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
APPLIANCE_MORE: Final = "{count} found; the first are shown"
APPLIANCE_NONE: Final = "None found"
FETCHING: Final = "Downloading {template} to {storage}"
FETCH_STOP: Final = "Stop the download"
FETCH_STOPPING: Final = "Stopping"
FETCH_DONE: Final = "Downloaded {template} to {storage}. It is chosen."
FETCH_STOPPED: Final = "The download of {template} was stopped."
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
    "hostname_pattern": "Empty for one container; web-{01..20}, {a,b,c}, 100 at most",
    "vmid": "Empty for the next free one",
    "ssh_keys": "One a line; for root",
    "vlan": "Empty for none",
    "ipv4_address": "With its prefix, such as 10.0.0.5/24",
    "ipv6_address": "With its prefix, such as fd00::5/64",
    "ipv4_range": "To take free addresses of, such as 10.0.0.10-10.0.0.40/24",
    "ipv6_range": "To take free addresses of, such as fd00::10-fd00::40/64",
    "nameserver": "Empty: as the node has them",
    "searchdomain": "Empty: as the node has it",
    "mtu": "Empty: the bridge's own",
    "tags": "Parted by a space",
    "unprivileged": "Its root is not the node's root",
    "nesting": "For systemd in newer guests, and for containers inside",
    "keyctl": "For Docker in an unprivileged container. root@pam only",
    "fuse": "root@pam only",
    "start_order": "Lower starts earlier",
    "pause_after_create": "To change it in PVE first; the job's page lets it go on",
}
TAKE_FREE: Final = "Take the next free {family} address"
TAKING_FREE: Final = "Looking for one"
ADDRESS_UNASKED: Final = {
    "one": "The addresses of 1 container could not be seen: this one may be taken by it",
    "many": "The addresses of {count} containers could not be seen: this one may be taken by one of them",
}
MOUNTS_LEAD: Final = "Further volumes, and folders of the node, each seen at its own place in the container."
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
    "source": "Its whole path. root@pam only; never in backups",
    "path": "Such as /srv/data",
}
PASSWORD_MODES: Final = {"generated": "Generate one", "given": "Enter one", "none": "None"}
IPV4_MODES: Final = {"dhcp": "DHCP", "static": "Static", "none": "None"}
IPV6_MODES: Final = {"none": "None", "auto": "SLAAC", "dhcp": "DHCP", "static": "Static"}
NO_POOL: Final = "None"
NOTHING: Final = "None"
PACKAGES_OF_TEMPLATE: Final = "Packages of the template"
NO_PACKAGES: Final = "The template has no packages."
EXTRA_PACKAGES: Final = "More packages"
MANAGER: Final = "Manager"
PACKAGE: Final = "Package"
ADD: Final = "Add"
REMOVE: Final = "Remove"
SCRIPTS_LEAD: Final = "They run as root in the guest, in this order. A script that fails ends the run."
NO_SCRIPTS: Final = "The template has no scripts."
MOVE_UP: Final = "Move up"
MOVE_DOWN: Final = "Move down"
REVIEW: Final = "All that was chosen"
PREFLIGHT: Final = "Preflight"
CHECKING: Final = "Checking with PVE"
NOT_CHECKED: Final = "This could not be checked. Check again."
CHECK_AGAIN: Final = "Check again"
NOTHING_FOUND: Final = "Nothing stands in the way."
SEVERITY: Final = {"error": "Error", "warning": "Warning"}
PREFLIGHT_FINDINGS: Final = {"error": "To be mended first", "warning": "To be considered"}
CHECKED: Final = "Checked"
