"""Texts of the container form and of preflight findings, by their codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

OF_FORM: Final[Mapping[str, str]] = {
    # Any field
    "field.unknown": "There is no such field",
    "field.unreadable": "This is nothing that the wizard has written",
    "field.no_text": "Enter text",
    "field.untypable": "Only characters that can be typed",
    "field.too_long": "At most {most} characters",
    "field.no_number": "Enter a whole number",
    "field.out_of_range": "From {least} to {most}",
    "field.no_flag": "Either on or off",
    "field.not_one_of": "One of {choices}",
    "field.no_list": "Enter a list",
    "field.needs_template": "This needs a template",
    # Place, source, names and password
    "field.no_node": "Choose a node",
    "field.no_storage": "Choose a storage for the disk",
    "field.no_bridge": "Choose a bridge",
    "field.no_template": "Choose a template",
    "field.no_ostemplate": "Choose an OS template",
    "field.ostemplate_too_long": "At most {most} characters: rename the file",
    "field.bad_ostemplate": "This is not an OS template",
    "field.other_ostemplate": "This is not the selected OS template",
    "field.system_missing": "{template} is made for {system}, which {node} has not: name another",
    "field.system_unseen": (
        "{template} is made for {system}, which no storage that you see on {node} has. Name another OS template, "
        "or have Datastore.Audit granted to you at the storage that has it (/storage/NAME)"
    ),
    "field.no_hostname": "Enter a hostname",
    "field.hostname_too_long": "At most {most} characters, including the domain: Linux accepts no longer name",
    "field.bad_hostname": "Letters, digits and hyphens; each part begins and ends with a letter or digit, 63 at most",
    "field.hostname_is_number": "The last part cannot be a number alone",
    "field.vmid_ours": "{vmid} is held by a container of this dashboard",
    "field.vmid_in_pve": "{vmid} is taken in PVE",
    "field.vmid_taken": "{vmid} was taken in the meantime",
    "field.bad_tag": "{tag!r} is not a tag: use letters and digits, and _ . + - after the first",
    "field.bad_pool": "This is not the name of a pool",
    "field.no_password": "Enter a password, or have one generated",
    "field.password_too_short": "At least {least} characters",
    "field.password_too_long": "At most {most} bytes: Linux accepts no longer password",
    "field.password_unprintable": "Only printable characters",
    # Packages and scripts
    "field.no_package_refs": "Choose packages of the template",
    "field.no_package": "Enter a manager and a package",
    "field.bad_package": "{spec!r} is not a package of {manager}",
    "field.custom_package": "A package with commands of its own can only come from a template",
    "field.bad_manager": "{manager!r} is not a package manager",
    "field.script_twice": "Each script runs once",
    # Addresses and names in the network
    "field.no_cidr": "Enter an IPv{version} address with its prefix, such as {example}",
    "field.bad_prefix": "PVE takes a prefix from /{least} to /{most}",
    "field.network_address": "This is the network's own address",
    "field.broadcast_address": "This is the network's broadcast address",
    "field.address_held": "{address} is the address of CT {vmid} {hostname}",
    "field.no_gateway": "Enter an IPv{version} address without a prefix",
    "field.gateway_is_own": "The gateway cannot be the container's own address",
    "field.bad_nameserver": "{word!r} is not an address. Separate addresses with spaces",
    "field.nameserver_zone": "{word!r}: only after an address of fe80::/64 may an interface stand, such as fe80::1%eth0",
    "field.bad_domain": "{word!r} is not a domain",
    "field.no_range": "Enter the first and the last address with their prefix, such as {example}",
    "field.range.bad_address": "{word} is not an address: enter a range, for example {example}",
    "field.range.mixed": "The first and the last address are of different kinds",
    "field.range.version": "Enter IPv{version} addresses, such as {example}",
    "field.range.backwards": "The last address comes before the first one",
    "field.range.two_networks": "{first} and {last} are not in one network of /{prefix}",
    "field.range.too_long": "At most {most} addresses",
    "field.range.unusable": "A guest cannot have these addresses",
    "field.range.of_network": "No guest can have these: they are the network's own and its broadcast address",
    "field.range.taken": "It is all taken",
    "field.range.short": "{free} of its addresses are free, {wanted} are needed",
    # Mount points
    "field.no_mounts": "Enter a list of mount points",
    "field.too_many_mounts": "PVE takes {most} at most",
    "field.no_mount_source": "Choose a storage, or a folder of the node by its whole path",
    "field.mount_source_root": "Enter the whole path of a folder on the node",
    "field.mount_source_equals": "PVE mounts no folder whose path holds =",
    "field.mount_path_root": "The root is the container's disk: enter a folder below it",
    "field.mount_path_of_system": "{path} belongs to the container's system",
    "field.mount_path_twice": "Another mount point has this path",
    "field.bad_path": "Enter a whole path, such as /srv/data, without commas and backslashes",
    "field.path_steps_aside": "PVE takes no path with . or .. in it",
    "field.no_backup_of_bind": "Only a volume of a storage is part of backups",
    # SSH keys
    "field.too_many_keys": "At most {most} keys",
    "field.keys_too_long": "At most {most} characters in all keys together",
    "field.key_private": "This is a private key: enter the public one, which ends with .pub",
    "field.key_too_long": "Key {number} is longer than {most} characters",
    "field.key_dsa": "Key {number} is a DSA key, which OpenSSH no longer accepts. Use another, for example ssh-ed25519",
    "field.bad_key": "Key {number} is not a complete public SSH key, such as ssh-ed25519 AAAA... name",
    # Several containers
    "field.vmid_of_several": "Leave it empty: each of several containers gets a vmid of its own",
    "field.address_of_several": "Several containers cannot have one address: enter a range, or choose another mode",
    "field.no_pattern": "Enter a pattern such as {example}",
    "field.pattern_braces": "Each {{ has a }} of its own, and none stands in another",
    "field.pattern_single": "Say in braces what differs, such as {example}",
    "field.pattern_too_many": "At most {most} at once; these are {names}",
    "field.pattern_twice": "{name} comes twice",
    "field.pattern_bad_choice": "{{{choice}}} is neither a span such as {{1..5}} nor a list such as {{a,b}}",
    "field.pattern_bad_name": "{name}: {reason}",
    "field.pattern_empty_name": "An empty name: {reason}",
    # Comments in the commands that create the same container
    "command.no_token_features": "PVE refuses {features} to every API token, also to those of {root}.",
    "command.no_token_folders": "PVE refuses folders of the node to every API token, also to those of {root}.",
    "command.no_token_both": "PVE refuses {features}, folders of the node to every API token, also to those of {root}.",
    "command.root_instead": "It takes them from {root} itself: with a ticket and its CSRF token, or by pct on the node.",
    "command.task_awaited": "When that task has ended:",
    # Choices that a node offers
    "offer.no_node": "No node is online, or none may be seen by this user",
    "offer.unlisted": "{what}: {reason}",
    "offer.no_ostemplates_seen": (
        "OS templates: you see no storage on {node} that holds any. "
        "You need Datastore.Audit at one that does (/storage/NAME)"
    ),
    "offer.storages": "storages",
    "offer.storage_rights": "rights at storages",
    "offer.bridges": "bridges",
    "offer.pools": "pools",
    "offer.next_vmid": "the next vmid",
    "offer.ostemplates": "OS templates on {storage}",
    "offer.appliances": "OS templates to download",
}


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
