"""Texts of preflight findings, by their codes: the problem, its consequence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

_OTHER_ADDRESS: Final = "Choose another address"
_CHECK_GATEWAY: Final = "Check it"
_ASK_ROOT: Final = "or have root@pam create the container"
_AS_ROOT: Final = "or sign in as root@pam with the password and create it then"
_GRANT: Final = "root@pam, or a user with Permissions.Modify there, can grant it in PVE under Datacenter, Permissions"
_ELSEWHERE: Final = "PVE accepts it on {own}. Choose another address if anything routes between the two networks"

OF_PREFLIGHT: Final[Mapping[str, str | WithRemedy]] = {
    "preflight.unchecked": "Not everything could be checked: you lack a privilege",
    "preflight.unchecked.right": "Not everything could be checked: you lack {privilege} at {path}",
    "preflight.pve_failed": WithRemedy("{reason}", "Check the endpoint, then try again"),
    "preflight.invalid": "{reason}",
    # The node
    "preflight.node.missing": WithRemedy("There is no node {node}", "Choose one of {nodes}"),
    "preflight.node.offline": WithRemedy("Node {node} is {status}", "Choose another one, or wait until it is back"),
    "preflight.node.unknown": WithRemedy(
        "PVE does not know the state of node {node}", "Choose another one, or wait until it is back"
    ),
    "preflight.memory.above_all": WithRemedy("Node {node} has {mib} MiB in all", "Choose less memory or a larger node"),
    "preflight.memory.above_free": WithRemedy(
        "Node {node} has {free} MiB free, {wanted} MiB are asked for", "Choose less memory, or free some on the node"
    ),
    "preflight.cores.above_all": WithRemedy("Node {node} has {cores} cores in all", "More do not make it faster"),
    # Privileges
    "preflight.right.lacks": WithRemedy("You lack {privileges} at {paths}", _GRANT),
    "preflight.right.lacks_for_tags": WithRemedy(
        "You lack {privileges} at {paths}, which PVE requires for the tags {tags}", f"Remove these tags. {_GRANT}"
    ),
    "preflight.right.in_pool": WithRemedy("{lack}, and hold {allocate} only at {held}", "Choose the pool {pool}"),
    "preflight.right.in_pools": WithRemedy(
        "{lack}, and hold {allocate} only at {held}", "Choose one of the pools {pools}"
    ),
    "preflight.root.feature": WithRemedy(
        "Only root@pam may switch on {feature} for {kind} containers", f"Switch it off, {_ASK_ROOT}"
    ),
    "preflight.root.feature_by_token": WithRemedy(
        "Only root@pam may switch on {feature} for {kind} containers, and PVE refuses API tokens for it",
        f"Switch it off, {_AS_ROOT}",
    ),
    "preflight.root.folder": WithRemedy(
        "Only root@pam may mount a folder of the node, for example {folder}",
        f"Choose a volume of a storage, {_ASK_ROOT}",
    ),
    "preflight.root.folder_by_token": WithRemedy(
        "Only root@pam may mount a folder of the node, for example {folder}, and PVE refuses API tokens for it",
        f"Choose a volume of a storage, {_AS_ROOT}",
    ),
    # Pool, number and name
    "preflight.pool.missing": WithRemedy("There is no pool {pool}", "Choose an existing pool, or none"),
    "preflight.pool.unseen": WithRemedy(
        "You see no pool {pool}: it does not exist, or you lack Pool.Audit at /pool/{pool}",
        "Check its name, or choose another pool",
    ),
    "preflight.vmid.ours": WithRemedy("{vmid} is held by a container of this dashboard", "Choose another one"),
    "preflight.vmid.taken": WithRemedy("{vmid} is taken in PVE", "Choose another one, or leave it empty"),
    "preflight.name.twice": WithRemedy(
        "{name} is the name of {vmid} on {node} too", "Choose another one to tell them apart by name"
    ),
    # Volumes and the OS template
    "preflight.storage.unseen": WithRemedy("You see no storage {storage} on {node}", "Choose one of {fit}"),
    "preflight.storage.none_fits": WithRemedy(
        "You see no storage {storage} on {node}, and no other one for container disks", "Choose another node"
    ),
    "preflight.storage.inactive": WithRemedy("Storage {storage} is not active on {node}", "Choose another one"),
    "preflight.storage.content": WithRemedy(
        "Storage {storage} holds no container disks", "Choose one with content rootdir"
    ),
    "preflight.storage.unmeasured": WithRemedy(
        "Storage {storage} does not report its free space", "Check that there is enough"
    ),
    "preflight.storage.too_small": WithRemedy(
        "Storage {storage} has {free} GiB free, {need}", "Free some, or choose another storage"
    ),
    "preflight.storage.may_fill_up": WithRemedy(
        "Storage {storage} has {free} GiB free, {need}",
        "PVE creates the container all the same. If the storage fills up, the container's file system becomes read-only",
    ),
    "preflight.need.disk": "the disk is {gib} GiB",
    "preflight.need.mount": "the mount point is {gib} GiB",
    "preflight.need.mounts": "the mount points are {gib} GiB",
    "preflight.need.disk_and_mounts": "the disk and mount points are {gib} GiB",
    "preflight.need.several": "what {count} containers ask of it is {gib} GiB",
    "preflight.ostemplate.missing": WithRemedy(
        "{ostemplate} is not on {node}", "Choose an OS template of this node, or have one downloaded"
    ),
    "preflight.ostemplate.not_offered": WithRemedy("PVE offers no OS template {ostemplate}", "Choose another one"),
    "preflight.ostemplate.large": WithRemedy(
        "The OS template is {mib} MiB packed: {disk} GiB may not hold it unpacked", "Make the disk larger"
    ),
    "preflight.ostemplate.storage": WithRemedy(
        "Storage {storage} takes no OS templates on {node}", "Download it to another one"
    ),
    "preflight.ostemplate.room": WithRemedy(
        "Storage {storage} has {mib} MiB free for the download of the OS template",
        "Free some, or download it to another storage",
    ),
    # The network
    "preflight.bridge.none_seen": WithRemedy(
        "You see no bridge of {node}: {bridge} could not be checked", "Check that it exists on the node"
    ),
    "preflight.bridge.unseen": WithRemedy("You see no bridge {bridge} on {node}", "Choose one of {bridges}"),
    "preflight.bridge.down": WithRemedy(
        "{bridge} of {node} is not up: the container cannot start on it",
        "Apply the node's network configuration in PVE, or choose another bridge",
    ),
    "preflight.vlan.beside": WithRemedy(
        "{bridge} is not VLAN aware: PVE makes a bridge {bridge}v{vlan} beside it",
        "It works, but a VLAN aware bridge is simpler",
    ),
    "preflight.vlan.impossible": WithRemedy(
        "{bridge} is not VLAN aware and has no port: it can carry no tag",
        "Leave the tag out, or choose a VLAN aware bridge",
    ),
    "preflight.mtu.unknown": WithRemedy(
        "The MTU of {bridge} is not known, and PVE refuses {mtu} if it is above that",
        "Leave it empty for the bridge's own",
    ),
    "preflight.mtu.above_bridge": WithRemedy(
        "MTU {mtu} is above the MTU of bridge {bridge}, {most}: PVE refuses to create the container",
        "Leave it empty for the bridge's own, or enter {most} at most",
    ),
    # Addresses and gateways
    "preflight.address.ours": WithRemedy("{reason}", _OTHER_ADDRESS),
    "preflight.address.taken": WithRemedy("{address} is the address of {holder}", _OTHER_ADDRESS),
    "preflight.address.of_gateway": WithRemedy("{address} is the gateway of {holder}", _OTHER_ADDRESS),
    "preflight.address.taken_elsewhere": WithRemedy("{address} is the address of {holder} on {segment}", _ELSEWHERE),
    "preflight.address.of_gateway_elsewhere": WithRemedy(
        "{address} is the gateway of {holder} on {segment}", _ELSEWHERE
    ),
    "preflight.address.of_stopped": WithRemedy(
        "{address} is the address of {holder}, which does not run", "Only one of them can be on the network"
    ),
    "preflight.address.off_bridge": WithRemedy(
        "{address} is not in {network}, which is the network of {bridge}",
        "It is reached only where something routes to it",
    ),
    "preflight.addresses.unasked": WithRemedy(
        "The addresses of some guests are not known: one of them may have {address}",
        "Check that none of them has it",
    ),
    "preflight.range.unasked": WithRemedy(
        "The addresses of some guests are not known", "Check that none of them has one of these"
    ),
    "preflight.gateway.none": WithRemedy(
        "Without a gateway it reaches nothing but {network}", "Enter one if it should reach more"
    ),
    "preflight.gateway.outside": WithRemedy(
        "{gateway} is not in {network}: the container gets a route of its own to it, through {device}",
        "Check it, unless your provider or router requires this",
    ),
    "preflight.gateway.of_guest": WithRemedy(
        "{gateway} is the address of {holder}, and no other guest has it as its gateway", _CHECK_GATEWAY
    ),
    "preflight.gateway.unusual": WithRemedy(
        "Other guests in {network} have the gateway {gateways}, and none has {gateway}", _CHECK_GATEWAY
    ),
    # Access to the guest
    "preflight.way_in.pct": "Way in: pct over SSH to {node} ({user}@{host})",
    "preflight.way_in.ssh": "Way in: SSH into the guest with a key made for this creation",
    "preflight.ssh_server.unknown": WithRemedy(
        "It is not known whether {ostemplate} has an SSH server: without one its guests cannot be entered",
        "Choose a standard one of Debian or Ubuntu. Register an SSH door for node {node}: "
        "lxc-dashboard node add, with --ssh-key-file and --door {node}=HOST",
    ),
    "preflight.door.failed": WithRemedy("{reason}", "Check the SSH door of this node at the endpoint"),
    "preflight.door.silent": WithRemedy("The SSH door of {node} does not answer", "Check it at the endpoint"),
    # The template
    "preflight.template.gone": WithRemedy("This revision of the template no longer exists", "Choose it again"),
    "preflight.template.other_system": WithRemedy(
        "The template is made for {wanted}, and {ostemplate} is another system",
        "Choose an OS template of {wanted}, or check that its scripts work with this one",
    ),
    "preflight.template.other_storage": "The template names storage {wanted}, and {used} is used",
    "preflight.template.other_bridge": "The template names bridge {wanted}, and {used} is used",
    "preflight.packages.unfit": WithRemedy(
        "{managers} packages do not fit {family}", "Remove them, or choose another OS template"
    ),
    "preflight.scripts.missing": WithRemedy("The template has no script {scripts}", "Choose its scripts again"),
}
