"""What a container's form begins with, in a page and over HTTP alike: the template's values, and what the node suggests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lxc_dashboard.services.creation.form.choices import Choices, OsTemplateChoice, best_os_template
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateSummary

HOSTNAME_CHARS: Final = 63


def defaults(summary: TemplateSummary | None, offered: Choices) -> dict[str, str]:
    """The form as it begins: the template's values where it has them, else what the node suggests."""
    c = summary.config if summary else TemplateConfig(app="")
    return {
        "node": offered.node,
        "hostname": host_name(summary.name) if summary else "",
        "vmid": "",
        "cores": str(c.cpu),
        "memory_mib": str(c.ram_mib),
        "swap_mib": str(c.swap_mib),
        "disk_gib": str(c.disk_gib),
        "password_mode": "generated",
        "ssh_keys": "",
        "tags": " ".join(c.tags),
        "unprivileged": ticked(c.unprivileged),
        "nesting": ticked(c.nesting),
        "keyctl": ticked(c.keyctl),
        "fuse": ticked(c.fuse),
        **dict.fromkeys(("pool", "start_order", "description", "mounts", "hostname_pattern"), ""),
        **dict.fromkeys(("firewall", "onboot", "pause_after_create"), ""),
        **_network_defaults(),
        **of_node(offered, c),
    }


def _network_defaults() -> dict[str, str]:
    empty = (
        "vlan",
        "ipv4_address",
        "ipv4_range",
        "ipv4_gateway",
        "ipv6_address",
        "ipv6_range",
        "ipv6_gateway",
        "nameserver",
        "searchdomain",
        "mtu",
    )
    return {"ipv4_mode": "dhcp", "ipv6_mode": "none", **dict.fromkeys(empty, "")}


def of_node(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What depends on the node: the template's wish where the node has it, else what the node offers first."""
    return {
        "ostemplate": _first(offered.ostemplates),
        "storage": next((storage.name for storage in offered.storages), ""),
        "bridge": next((bridge.name for bridge in offered.bridges), "vmbr0"),
        **granted(offered, wanted),
    }


def granted(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What the template names and the node has, by the form's field."""
    found = {
        "ostemplate": best_os_template(offered.ostemplates, wanted.os, wanted.version),
        "storage": next((storage.name for storage in offered.storages if storage.name == wanted.storage), ""),
        "bridge": next((bridge.name for bridge in offered.bridges if bridge.name == wanted.bridge), ""),
    }
    return {name: value for name, value in found.items() if value}


def lacking(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What the template names and the node has not, by the form's field. Nothing of what PVE did not say."""
    known = {"ostemplate": offered.ostemplates, "storage": offered.storages, "bridge": offered.bridges}
    wishes = {"ostemplate": _system(wanted), "storage": wanted.storage, "bridge": wanted.bridge}
    met = granted(offered, wanted)
    return {name: wish for name, wish in wishes.items() if wish and known[name] and name not in met}


def system_missing(offered: Choices, wanted: TemplateConfig) -> str:
    """The OS that a template is made for where the node has none of its kind, such as ``debian 13``."""
    return "" if "ostemplate" in granted(offered, wanted) else _system(wanted)


def _system(wanted: TemplateConfig) -> str:
    return f"{wanted.os} {wanted.version}".strip() if wanted.os else ""


def host_name(name: str) -> str:
    """A host name out of any name: letters, digits and single hyphens, 63 at most, and not a number alone."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:HOSTNAME_CHARS].strip("-")
    return f"ct-{found}"[:HOSTNAME_CHARS] if found.isdecimal() else found


def ticked(on: bool) -> str:
    """How a form says that a box is ticked."""
    return "on" if on else ""


def _first(offered: Sequence[OsTemplateChoice]) -> str:
    return min(offered, key=lambda template: template.is_download).value if offered else ""
