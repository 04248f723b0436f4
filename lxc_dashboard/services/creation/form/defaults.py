"""What the container form starts with, in the wizard and over HTTP: the template's values, and what the node suggests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lxc_dashboard.services.creation.form.choices import Choices, OsTemplateChoice, best_os_template
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateSummary

HOSTNAME_CHARS: Final = 63


def defaults(summary: TemplateSummary | None, offered: Choices) -> dict[str, str]:
    """The form as it starts: the template's values if it has them, else what the node suggests, else the table's."""
    config = summary.config if summary else TemplateConfig(app="")
    form = {
        row.name: row.write(getattr(config, row.config)) if row.config else row.started for row in FIELDS if row.in_form
    }
    named = {"node": offered.node, "hostname": host_name(summary.name) if summary else ""}
    return {**form, **named, **of_node(offered, config)}


def of_node(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What depends on the node: what the template names if the node has it, else what the node offers first."""
    return {
        "ostemplate": _first(offered.ostemplates),
        "storage": next((storage.name for storage in offered.storages), ""),
        "bridge": next((bridge.name for bridge in offered.bridges), BY_NAME["bridge"].default),
        **granted(offered, wanted),
    }


def granted(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What the template names and the node has, by field."""
    found = {
        "ostemplate": best_os_template(offered.ostemplates, wanted.os, wanted.version),
        "storage": next((storage.name for storage in offered.storages if storage.name == wanted.storage), ""),
        "bridge": next((bridge.name for bridge in offered.bridges if bridge.name == wanted.bridge), ""),
    }
    return {name: value for name, value in found.items() if value}


def lacking(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """What the template names and the node lacks, by field. Kinds that PVE did not list are left out."""
    known = {"ostemplate": offered.ostemplates, "storage": offered.storages, "bridge": offered.bridges}
    wishes = {"ostemplate": _system(wanted), "storage": wanted.storage, "bridge": wanted.bridge}
    met = granted(offered, wanted)
    return {name: wish for name, wish in wishes.items() if wish and known[name] and name not in met}


def system_missing(offered: Choices, wanted: TemplateConfig) -> str:
    """The OS that a template needs and the node lacks, for example ``debian 13``; empty if it has it."""
    return "" if "ostemplate" in granted(offered, wanted) else _system(wanted)


def _system(wanted: TemplateConfig) -> str:
    return f"{wanted.os} {wanted.version}".strip() if wanted.os else ""


def host_name(name: str) -> str:
    """A host name out of any name: letters, digits and single hyphens, 63 at most, and not a number alone."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:HOSTNAME_CHARS].strip("-")
    return f"ct-{found}"[:HOSTNAME_CHARS] if found.isdecimal() else found


def _first(offered: Sequence[OsTemplateChoice]) -> str:
    return min(offered, key=lambda template: template.is_download).value if offered else ""
