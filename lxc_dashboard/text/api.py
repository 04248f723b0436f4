"""Texts of the HTTP API: its description, its errors, and those of webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

API_TITLE: Final = "LXC Template Manager Dashboard"
API_ABOUT: Final = (
    "Create containers in Proxmox VE from templates and follow their progress. Every request carries the caller's PVE API "
    "token and acts with it: PVE decides what it may do. A job works with an encrypted copy of the token for at most 12 h. "
    "It fails when PVE no longer accepts the token."
)
API_TOKEN: Final = "As in PVE's own API: PVEAPIToken=user@realm!name=uuid"  # noqa: S105 - its format
API_ENDPOINT: Final = "Name of a registered PVE endpoint. Default: the default endpoint"
API_DOCUMENT: Final = "This description. Needs no token"
API_LIST: Final = "List the creations that the token may see, newest first"
API_UNFINISHED: Final = "Only unfinished creations"
API_LIMIT: Final = "Number of entries, 100 by default. A shorter list means that there are no more"
API_BEFORE: Final = "The id of the last entry of the previous page"
API_LIST_JOBS: Final = "List the jobs of all kinds that the token may see, newest first"
API_OF_KIND: Final = "Only jobs of this kind, for example container.stop"
API_OF_GUEST: Final = "Only jobs on the guest with this vmid"
API_OF_USER: Final = "Only jobs of this user, for example root@pam"
API_IN_STATE: Final = "Only jobs in this state"
API_CREATE: Final = "Create a container"
API_KEY: Final = (
    "A UUID that becomes the job's id. A repeated request creates nothing: the answer is 200 with the first creation, "
    "whatever its body is"
)
API_ACTS: Final[Mapping[str, str]] = {
    "container.start": "Start a container",
    "container.shutdown": "Shut a container down. PVE stops it if it does not shut down in time",
    "container.stop": "Stop a container without a shutdown",
    "container.reboot": "Restart a container",
    "container.clone": "Clone a container. The clone keeps a static address: change it before the clone's start",
    "container.migrate": "Move a container to another node. A running one is stopped and started again",
    "container.delete": "Delete a stopped container. Its backups stay",
    "disk.resize": "Enlarge a disk of a container",
    "backup.create": "Back a container up",
    "snapshot.create": "Take a snapshot of a container",
    "snapshot.rollback": "Roll a container back to a snapshot. Stops it, and loses its state and configuration since",
    "snapshot.delete": "Delete a snapshot of a container",
}
API_ACT_KEY: Final = (
    "A UUID that becomes the job's id. A repeated request starts nothing: the answer is 200 with the job of that id, "
    "whatever else it sends"
)
API_LOCATION: Final = "Path of the job"
API_READ_JOB: Final = "Read a job of any kind: the caller's own, or one on a container that the token may see"
API_CANCEL_JOB: Final = (
    "Cancel a job and stop its PVE task. What it has done stays. Jobs of others need VM.Allocate on the container"
)
API_RETRY_JOB: Final = (
    "Retry a job. A creation continues from the step that failed. A failed or cancelled act becomes a new job, which "
    "acts with this token"
)
API_READ: Final = "Read a creation"
API_DESTROY: Final = "Destroy what a failed or cancelled creation left behind"
API_VMID_AGAIN: Final = "The creation's vmid, as a confirmation"
API_LOG: Final = "Stream the log from the start or after a line, until the job ends"
API_AFTER: Final = "The number (seq) of the last line that the caller has"
API_FOLLOW: Final = "false: end after the lines that exist now"
API_LINES: Final = (
    "One JSON object a line, each of the schema Line (type: line); the last one is of the schema End (type: end). "
    "Blank lines keep the connection alive"
)
API_CANCEL: Final = "Cancel a creation. It stops within 15 s, and what it has created stays"
API_RETRY: Final = "Retry a failed creation from the step that failed, with this token"
API_GO_ON: Final = "Resume a creation that paused before its first start, with this token"
API_CREDENTIALS: Final = (
    "Read the credentials of one service: of root, if its password was generated, or of a service that the creation's "
    "result names. PVE decides whether the token may enter the guest. Every call is audited"
)
API_PREFLIGHT_FAILED: Final = "The preflight found problems. Nothing was created"
API_RETRY_AFTER: Final = "Seconds to wait"
API_SUCCESSES: Final[Mapping[int, str]] = {200: "The result", 202: "Accepted: a worker does it"}
API_ERRORS: Final[Mapping[int, str]] = {
    401: "The token is missing, wrong or no longer valid",
    403: "PVE refuses this to the token. The message names privilege and path",
    404: "It does not exist, or the token may not see it",
    409: "The state does not allow this. error.job names the job that is working on the container, if there is one",
    413: "The body is larger than 1 MiB",
    415: "The body is not application/json",
    422: "Invalid input: error.fields by field, error.findings of the preflight",
    429: "Too many refused tokens from this address, or too many requests of this token at once",
    502: "PVE failed",
    503: "PVE or a service of the dashboard does not answer",
}
API_RETRY_LATER: Final = frozenset({429, 503})
API_REQUEST: Final = (
    "A container. A missing field takes the template's value, then the node's default. Without a template only hostname "
    "is required. Numbers and booleans may be sent as text"
)
API_FIELDS: Final[Mapping[str, str]] = {
    "template": "Name of a template, source/name if two sources have it, or its id. Default: none",
    "node": "Node of the cluster. Default: the online node with the most free memory",
    "hostname": "RFC 1123, at most 64 characters. Default: made from the template's name",
    "vmid": "From 100. Default: the next free one",
    "ostemplate": "A volid such as local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst. Default: the one that fits the template",
    "ostemplate_download": "Name of a PVE appliance to download if the OS template is missing",
    "storage": "Storage of the disk. Default: the template's, else the one with the most free space",
    "disk_gib": "Disk size in GiB",
    "cores": "Number of cores",
    "memory_mib": "Memory in MiB",
    "swap_mib": "Swap in MiB",
    "password": "Root's password for password_mode given: 5 characters to 500 bytes. Stored encrypted until the job ends",
    "password_mode": "given, generated (shown on the job's page) or none. Default: given if there is a password, else generated",
    "ssh_keys": "Public keys for root: a list, or lines. At most 100 keys of 16 KiB",
    "bridge": "Bridge of the network device",
    "vlan": "VLAN tag, 1 to 4094",
    "mtu": "MTU of the network device",
    "firewall": "Whether PVE's firewall filters the network device",
    "ipv4_mode": "dhcp, static or none",
    "ipv4_address": "With prefix, for example 10.0.0.5/24",
    "ipv4_gateway": "May be outside the address's network if the provider requires it",
    "ipv6_mode": "dhcp, static, auto (SLAAC) or none",
    "ipv6_address": "With prefix, for example fd00::5/64",
    "ipv6_gateway": "May be link-local, or outside the network as for IPv4",
    "nameserver": "Addresses, separated by spaces. Default: the node's",
    "searchdomain": "Domains, separated by spaces. Default: the node's",
    "unprivileged": "Default: true. Root of a privileged container is root on its node",
    "nesting": "PVE feature of this name",
    "keyctl": "PVE feature of this name. Only root@pam may set it, and not with a token",
    "fuse": "PVE feature of this name. Only root@pam may set it, and not with a token",
    "mounts": "Mount points: volumes of a storage, or folders of the node (only root@pam, and not with a token)",
    "tags": "A list, or words separated by spaces",
    "pool": "PVE pool",
    "onboot": "Whether it starts with its node",
    "start_order": "Position in the node's start order",
    "description": "Notes in PVE, at most 7,800 characters",
    "packages_off": "Packages of the template to leave out",
    "packages_extra": "Packages to install besides the template's",
    "pause_after_create": "Pause before the first start until the creation is resumed",
    "scripts": "Names of the template's scripts to run, in this order. Default: the template's order",
}

FIELD_MISSING: Final = "is missing"
FORM_UNREADABLE: Final = "cannot be read"
FORM_TOO_LONG: Final = "too long"
NOT_A_FORM: Final = "not a form"
API_BODY_TOO_LARGE: Final = "The body is larger than {mib} MiB"
API_NOT_JSON: Final = "Send application/json"
API_NOT_AN_OBJECT: Final = "The body must be a JSON object"
API_METHOD_NOT_ALLOWED: Final = "Allowed methods: {methods}"
API_PARAMETER_UNKNOWN: Final = "This parameter does not exist"
API_JOB_UNKNOWN: Final = "This job does not exist or was removed"
API_REQUIRED: Final = "Is required"
API_VALUE_INVALID: Final = "Is invalid: {rule}"
API_NOT_A_UUID: Final = "Must be a UUID"
API_NOT_A_BOOLEAN: Final = "Must be true or false"
API_OUT_OF_RANGE: Final = "Must be a whole number from {least} to {most}"
API_NOT_ONE_OF: Final = "Must be one of {values}"
API_SERVICE_NAME: Final = "Enter the name of a service, at most {chars} characters"
API_VMID_MISSING: Final = "Confirm the container to destroy: ?vmid={vmid}"
WEBHOOK_REFUSED: Final = "No source takes webhooks here, or the signature is wrong"
