"""The choices as text: options of the selects, the summary, and the review. No Reflex here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxc_dashboard import text
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.batch import count
from lxc_dashboard.services.creation.form.choices import (
    DOWNLOAD_PREFIX,
    Choices,
    NodeChoice,
    OsTemplateChoice,
    StorageChoice,
)
from lxc_dashboard.services.creation.form.fields import FIELDS, Field
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation.form import FLAGS, ExtraRow, PackageRow, ScriptRow

GIB: Final = 1024**3
MIB: Final = 1024**2
_ARCHIVE: Final = re.compile(r"(_[a-z0-9]+)?\.tar\.[a-z0-9]+$")


@dataclass(frozen=True)
class Option:
    value: str
    label: str


@dataclass(frozen=True)
class Line:
    label: str
    value: str


def bash_text(lines: Iterable[str | Message]) -> str:
    """Format a command of several lines. Messages become comments."""
    return "\n".join(f"# {text.in_words_of(line)}" if isinstance(line, Message) else line for line in lines)


def node_options(offered: Choices) -> list[Option]:
    return [Option(node.name, _node_label(node)) for node in offered.nodes]


def _node_label(node: NodeChoice) -> str:
    if not node.online:
        return text.NODE_DOWN.format(node=node.name)
    if not node.memory_total:
        return node.name
    free, total = f"{node.memory_free / GIB:.1f}", f"{node.memory_total / GIB:.1f}"
    return text.NODE_FREE.format(node=node.name, free=free, total=total)


def storage_options(storages: Sequence[StorageChoice]) -> list[Option]:
    return [
        Option(s.name, text.STORAGE_FREE.format(storage=s.name, type=s.type, free=f"{s.free / GIB:.0f}"))
        for s in storages
    ]


def bridge_options(offered: Choices) -> list[Option]:
    """PVE's names, with a mark for a VLAN-aware bridge."""
    return [
        Option(b.name, text.BRIDGE_AWARE.format(bridge=b.name) if b.vlan_aware else b.name) for b in offered.bridges
    ]


def os_options(offered: Choices, *, download: bool) -> list[Option]:
    return [Option(t.value, _os_label(t)) for t in offered.ostemplates if t.is_download == download]


def _os_label(template: OsTemplateChoice) -> str:
    name, size = os_name(template.name), f"{template.size / MIB:.0f}"
    if template.is_download:
        return name
    words = text.OS_ON_STORAGE_SIZED if template.size else text.OS_ON_STORAGE
    return words.format(name=name, storage=template.storage, size=size)


def os_name(archive: str) -> str:
    """``debian-13-standard_13.1-2`` for ``debian-13-standard_13.1-2_amd64.tar.zst``."""
    return _ARCHIVE.sub("", archive)


def summary_lines(form: Mapping[str, str], template: str, offered: Choices | None) -> list[Line]:
    """Summarize the container to create, with the memory and space that stay free."""
    return [
        Line(text.TEMPLATE, template or text.NO_TEMPLATE),
        Line(text.HOSTNAME, _names(form) or "…"),
        Line(text.NODE, form.get("node", "")),
        Line(text.RESOURCES, resources(form)),
        *(cost(offered, form) if offered else []),
    ]


def _names(form: Mapping[str, str]) -> str:
    pattern = form.get("hostname_pattern", "").strip()
    many = count(form)
    return text.SEVERAL_COUNTED.format(pattern=pattern, count=many) if many > 1 else pattern or form.get("hostname", "")


def cost(offered: Choices, form: Mapping[str, str]) -> list[Line]:
    """The node's memory and the storages' space that stay free after the creation."""
    lines = []
    node = next((n for n in offered.nodes if n.name == form.get("node")), None)
    memory = mount_rows.parse_whole(form.get("memory_mib", ""))
    if node and node.memory_total and memory:
        left = max(0.0, node.memory_free / GIB - count(form) * memory / 1024)
        lines.append(Line(text.MEMORY, text.LEFT_OF.format(left=f"{left:.1f}", free=f"{node.memory_free / GIB:.1f}")))
    return lines + [line for storage in offered.storages if (line := _storage_line(storage, form))]


def _storage_line(storage: StorageChoice, form: Mapping[str, str]) -> Line | None:
    """None for a storage without the disk or a mount point. Does not count OS templates to download."""
    disk = form.get("disk_gib", "") if storage.name == form.get("storage") else ""
    needed = mount_rows.gib_on(form.get(mount_rows.FIELD, ""), storage.name) + mount_rows.parse_whole(disk)
    if not needed:
        return None
    left = max(0.0, storage.free / GIB - count(form) * needed)
    words = {"left": f"{left:.0f}", "free": f"{storage.free / GIB:.0f}", "storage": storage.name}
    return Line(text.DISK, text.LEFT_ON.format(**words))


def resources(form: Mapping[str, str]) -> str:
    count = form.get("cores", "")
    cores = text.CORES["one" if count == "1" else "many"].format(count=count or "…")
    memory, disk = form.get("memory_mib") or "…", form.get("disk_gib") or "…"
    return text.RESOURCES_LINE.format(cores=cores, memory=memory, disk=disk)


def review_lines(
    form: Mapping[str, str],
    template: str,
    *,
    packages: Sequence[PackageRow],
    extras: Sequence[ExtraRow],
    scripts: Sequence[ScriptRow],
) -> list[Line]:
    """All fields that count, the packages and the scripts."""
    lines = [Line(text.TEMPLATE, template or text.NO_TEMPLATE)]
    for row in FIELDS:
        value = form.get(row.name, "") if row.in_form else ""
        if row.name == "vmid":
            lines.append(Line(text.FIELD_LABELS[row.name], value or text.NEXT_FREE))
        elif value and not row.is_flag and _counts(form, row):
            lines.append(Line(text.FIELD_LABELS[row.name], in_words(row.name, value)))
    lines.append(Line(text.OPTIONS, _flags(form)))
    chosen = [*(p.spec for p in packages if p.on), *(e.spec for e in extras)]
    lines.append(Line(text.PACKAGES, ", ".join(chosen) or text.NOTHING))
    lines.append(Line(text.SCRIPTS, ", ".join(s.name for s in scripts if s.on) or text.NOTHING))
    return lines


def _counts(form: Mapping[str, str], row: Field) -> bool:
    """Whether the field counts: a range only for a batch, a hostname and an address only for one container."""
    is_several = bool(form.get("hostname_pattern", "").strip())
    is_range = row.name.endswith("_range")
    of_other_number = is_range != is_several and (is_range or row.name.endswith("_address"))
    return row.counts(form) and not of_other_number and not (row.name == "hostname" and is_several)


def _flags(form: Mapping[str, str]) -> str:
    """The flags that are on. For a privileged container, that comes first."""
    on = [text.FIELD_LABELS[name] for name in FLAGS if form.get(name)]
    return ", ".join(on if form.get("unprivileged") else [text.PRIVILEGED, *on])


def in_words(name: str, value: str) -> str:
    """A field's value for display."""
    if name == "ssh_keys":
        return str(len([line for line in value.splitlines() if line.strip()]))
    if name == mount_rows.FIELD:
        return mount_rows.in_words(value)
    if name == "ostemplate":
        return os_name(value.removeprefix(DOWNLOAD_PREFIX).rpartition("/")[2])
    return text.FIELD_CHOICES.get(name, {}).get(value, value)
