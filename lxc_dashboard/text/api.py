"""What the API's description says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TITLE: Final = "LXC Template Manager Dashboard"
ABOUT: Final = (
    "Have containers made in Proxmox VE from templates, and follow how they are built. Every request carries the caller's own "
    "PVE API token and acts with it: PVE decides what it may do. A run needs no further sign-in, acts with its encrypted "
    "copy of the token for 12 h at most, and ends when PVE takes the token no more."
)
TOKEN: Final = "As PVE itself takes it: PVEAPIToken=user@realm!name=uuid"  # noqa: S105 the form of one
ENDPOINT: Final = "Name of the registered PVE endpoint; without it the default one"
DOCUMENT: Final = "This description. It needs no token"
LIST: Final = "Runs that the caller may see, newest first"
UNFINISHED: Final = "Only those that have not ended"
LIMIT: Final = "How many at most; 100 by default. Fewer come only where there are no more that the token may see"
BEFORE: Final = "The id of the last run or job of the page before: the next page begins behind it"
LIST_JOBS: Final = "Jobs of all kinds that the caller may see, newest first"
OF_KIND: Final = "Only jobs of this kind, for example container.stop"
OF_GUEST: Final = "Only jobs on the guest with this vmid"
OF_USER: Final = "Only jobs of this user, for example root@pam"
IN_STATE: Final = "Only jobs in this state"
CREATE: Final = "Have a container made"
KEY: Final = (
    "A UUID that becomes the run's id. Sent again, it makes nothing more: the answer is 200 with the run that it made, "
    "whatever else is sent"
)
ACT: Final = "Start, shut down, stop or restart a container. A worker does it as a job"
ACT_KEY: Final = (
    "A UUID that becomes the job's id. Sent again, it starts nothing: the answer is 200 with the job of that id, "
    "whatever else is sent"
)
LOCATION: Final = "Path of the run or job"
READ_JOB: Final = "A job of any kind as it stands: the caller's own, or one on a container that PVE shows the caller"
CANCEL_JOB: Final = "Ask a job to stop. Its task in PVE is stopped; what it did until then stays. Jobs of others need VM.Allocate on the container"
RETRY_JOB: Final = (
    "Run a failed job again. A creation goes on from the step that failed. A failed or cancelled act is asked for again: "
    "the answer is a new job, which acts with this token"
)
READ: Final = "A run as it stands"
DESTROY: Final = "Destroy what a failed or cancelled run has left"
VMID_AGAIN: Final = "The run's vmid once more: what is destroyed is gone"
LOG: Final = "The log as a stream, from the beginning or after a line, until the run ends"
AFTER: Final = "The number (seq) of the last line that is known already"
FOLLOW: Final = "false: only what there is just now"
LINES: Final = (
    "One JSON object a line, each of the schema Line (type: line), the last one of the schema End (type: end). "
    "Blank lines in between say that the connection is alive"
)
CANCEL: Final = "Have a run stop, within 15 s; what it has made is kept"
RETRY: Final = "Run a failed one again, from the step that failed, now with this token"
GO_ON: Final = "End the pause of a run that was to stop before its first start; it goes on with this token"
CREDENTIALS: Final = (
    "The credentials of one service of a container that is ready: of root, whose password was made for it, or of one that the "
    "run's result names. PVE is asked whether the token may enter the guest; each call is audited"
)
STOPPED: Final = "The preflight found what would make this fail; nothing was made"
RETRY_AFTER: Final = "Seconds to wait"
GOOD: Final[Mapping[int, str]] = {
    200: "What was asked for",
    202: "Taken on: a worker does it",
}
REFUSED: Final[Mapping[int, str]] = {
    401: "The token is missing, wrong, or not valid any more",
    403: "PVE does not let the token do this: the message names privilege and path",
    404: "It does not exist, or the token may not see it",
    409: "The state does not allow this. error.job names the job that is busy with the container, if that is the cause",
    413: "The body is larger than 1 MiB",
    415: "The body is not application/json",
    422: "Invalid input: error.fields by field, error.findings as the preflight found it",
    429: "Too many refused tokens from here, or too much of this token at once",
    502: "PVE answered with an error of its own",
    503: "PVE, or a service of the dashboard, does not answer",
}
LATER: Final = frozenset({429, 503})
REQUEST: Final = (
    "A container. What is left out is the template's, then the node's. Only hostname is needed where no template is named. "
    "Numbers and flags may be sent as text"
)
FIELDS: Final[Mapping[str, str]] = {
    "template": "Name of a template, source/name where two sources have it, or its id; left out: none",
    "node": "Node of the cluster; left out: the online one with the most free memory",
    "hostname": "RFC 1123, 64 characters at most; left out: made of the template's name",
    "vmid": "From 100; left out: the next free one",
    "ostemplate": "A volid such as local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst; left out: the one that fits the template",
    "ostemplate_download": "Its name among PVE's appliances, to fetch it by where it is not there yet",
    "storage": "Storage of the disk; left out: the template's, else the one with the most room",
    "disk_gib": "Size of the disk in GiB",
    "cores": "Number of cores",
    "memory_mib": "Memory in MiB",
    "swap_mib": "Swap in MiB",
    "password": "Root's password, where password_mode is given; 5 characters or more, 500 bytes at most. Kept encrypted until the run ends",
    "password_mode": "given, generated (revealed on the run's page) or none; left out: given where there is a password, else generated",
    "ssh_keys": "Public keys for root: a list, or lines; 100 at most, of 16 KiB each",
    "bridge": "Bridge of the network device",
    "vlan": "VLAN tag, 1 to 4094",
    "mtu": "MTU of the network device",
    "firewall": "Whether PVE's firewall guards the network device",
    "ipv4_mode": "dhcp, static or none",
    "ipv4_address": "With its prefix, such as 10.0.0.5/24",
    "ipv4_gateway": "Outside of the address's network only where the provider has it so",
    "ipv6_mode": "dhcp, static, auto (SLAAC) or none",
    "ipv6_address": "With its prefix, such as fd00::5/64",
    "ipv6_gateway": "Link-local, or as of IPv4",
    "nameserver": "Addresses, parted by spaces; left out: the node's",
    "searchdomain": "Domains, parted by spaces; left out: the node's",
    "unprivileged": "true is the default; a privileged container is root on its node",
    "nesting": "PVE's feature of this name",
    "keyctl": "PVE's feature of this name; root@pam's alone to give, and not by token",
    "fuse": "PVE's feature of this name; root@pam's alone to give, and not by token",
    "mounts": "Mount points: volumes of a storage, or folders of the node (root@pam's alone to give, and not by token)",
    "tags": "A list, or words parted by spaces",
    "pool": "PVE pool",
    "onboot": "Whether it starts with its node",
    "start_order": "Its place at the node's start",
    "description": "Notes in PVE, up to 7,800 characters",
    "packages_off": "Packages of the template that are not wanted",
    "packages_extra": "Packages besides the template's",
    "pause_after_create": "Stop before the first start, until the run is told to go on",
    "scripts": "Names of the template's scripts to run, in this order; left out: as the template has it",
}
