"""The choices as text: options of the selects, the summary, and the review. No Reflex here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    defaults,
    is_system,
    lacking,
)
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS, Field
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateDetail
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation.form import FLAGS, ExtraRow, PackageRow, ScriptRow, package_rows, script_rows

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


# The chosen value, and the value used instead.
Replaced = tuple[str, str]
# Fields that affect security: root in the container as root on the node, host folders, and who can sign in as root.
# Long values last, because many keys would hide the others.
RISKY: Final = ("unprivileged", mount_rows.FIELD, "ssh_keys")


def template_gone(name: str) -> str:
    return text.TEMPLATE_GONE.format(template=name or text.TEMPLATE)


def fallback_notes(form: Mapping[str, str], changed: Mapping[str, str]) -> list[str]:
    """Sentences on the fields of ``form`` that ``changed`` replaces."""
    node = changed.get("node", form.get("node", ""))
    return [
        text.FELL_BACK.format(
            field=text.FIELD_LABELS.get(name, name),
            was=in_words(name, form[name]),
            now=in_words(name, now) or text.NOTHING,
            node=node,
        )
        for name, now in changed.items()
        if form.get(name) and form[name] != now
    ]


def replaced_choices(
    form: Mapping[str, str], initial: Mapping[str, str], changed: Mapping[str, str]
) -> dict[str, Replaced]:
    """By field, the choices that another node lacks. ``changed``: the form for that node."""
    chosen = {name: form.get(name, "") for name in text.STANDS_IN if form.get(name) != initial.get(name)}
    chosen |= mount_rows.sources(form.get(mount_rows.FIELD, ""))
    instead = {**changed, **mount_rows.sources(changed.get(mount_rows.FIELD, ""))}
    return {name: (was, instead[name]) for name, was in chosen.items() if was and instead.get(name, was) != was}


def stand_in_notes(
    form: Mapping[str, str], offered: Choices, config: TemplateConfig, before: Mapping[str, Replaced]
) -> dict[str, str]:
    """By field, a sentence on what the node lacks and what is used instead.

    ``before``: the result of ``replaced_choices``.
    """
    notes = {}
    texts = {**text.STANDS_IN, **(text.STANDS_IN_UNSEEN if offered.hides_storages else {})}
    for name, wish in lacking(offered, config).items():
        chosen = form.get(name, "")
        is_met = name == "ostemplate" and is_system(chosen.rpartition("/")[2], config.os, config.version)
        if chosen and not is_met:
            notes[name] = texts[name].format(wish=wish, node=offered.node, now=in_words(name, chosen))
    present = {**form, **mount_rows.sources(form.get(mount_rows.FIELD, ""))}
    for name, (was, now) in before.items():
        if present.get(name) == now:
            words = {"was": in_words(name, was), "node": offered.node, "now": in_words(name, now) or text.NOTHING}
            notes[name] = text.REPLACED.format(**words)
    return notes


def extras(filled: Filled) -> list[ExtraRow]:
    return [ExtraRow(manager, spec) for manager, spec in filled.extras]


def packages(rows: Sequence[PackageRow], filled: Filled) -> list[PackageRow]:
    """The template's packages. Those that the user left out are off."""
    return [replace(row, on=row.key not in filled.packages_off) for row in rows]


def scripts(rows: Sequence[ScriptRow], filled: Filled) -> tuple[list[ScriptRow], list[str]]:
    """The template's scripts in the chosen order with new ones last, and a sentence on missing ones."""
    by_name = {row.name: row for row in rows}
    there = [by_name[name] for name in dict.fromkeys(filled.scripts) if name in by_name]
    new = [row for row in rows if row.name not in filled.scripts]
    found = [replace(row, on=row.name not in filled.scripts_off) for row in there] + new
    gone = [name for name in filled.scripts if name not in by_name and name not in filled.scripts_off]
    return found, [text.SCRIPTS_GONE.format(scripts=", ".join(gone))] if gone else []


@dataclass(frozen=True)
class Change:
    """``value`` may have several lines. ``risky``: one of ``RISKY``; mount points only with a host folder."""

    label: str
    value: str
    risky: bool = False


def list_changes(filled: Filled, detail: TemplateDetail | None, offered: Choices) -> list[Change]:
    """List the differences of ``filled`` from the defaults, risky ones first.

    ``detail``: its template. ``offered``: the choices of its node. Always lists a privileged container, even if the
    template asks for one.
    """
    fresh = defaults(detail.summary if detail else None, offered)
    form = {name: value for name, value in filled.form.items() if name in fresh}
    changed = {name: value for name, value in form.items() if value != fresh[name]}
    if not form.get("unprivileged", fresh["unprivileged"]):
        changed["unprivileged"] = ""
    else:
        changed.pop("unprivileged", None)
    order = dict.fromkeys((*RISKY, *BY_NAME))
    fields = [_field(name, changed[name]) for name in order if name in changed]
    template = [Change(text.TEMPLATE, detail.summary.name)] if detail else []
    risky, others = [each for each in fields if each.risky], [each for each in fields if not each.risky]
    return [*risky, *template, *others, *_in_guest(filled, detail)]


def _field(name: str, value: str) -> Change:
    if name == "unprivileged":
        return Change(text.PRIVILEGED, text.PRIVILEGED_MEANS, risky=True)
    if name == "ssh_keys":
        return Change(text.FIELD_LABELS[name], value or text.NOTHING, risky=True)
    is_bind = name == mount_rows.FIELD and any(map(mount_rows.is_bind, mount_rows.parse_rows(value)))
    return Change(text.FIELD_LABELS[name], _worded(name, value), risky=is_bind)


def _worded(name: str, value: str) -> str:
    if BY_NAME[name].is_flag:
        return text.SWITCHED_ON if value else text.SWITCHED_OFF
    words = in_words(name, value) or value or text.NOTHING
    if name == "ostemplate":
        storage = value.removeprefix(DOWNLOAD_PREFIX).partition(":")[0]
        return text.OS_ON_STORAGE.format(name=words, storage=storage)
    return words


def _in_guest(filled: Filled, detail: TemplateDetail | None) -> Iterator[Change]:
    known = script_rows(detail) if detail else []
    chosen, _ = scripts(known, filled)
    was_on = {row.name: row.on for row in known}
    order = [row.name for row in chosen]
    lists = {
        "extras": [f"{manager} {spec}" for manager, spec in filled.extras],
        "packages_off": [row.spec for row in packages(package_rows(detail) if detail else [], filled) if not row.on],
        "scripts_on": [row.name for row in chosen if row.on and not was_on[row.name]],
        "scripts_off": [row.name for row in chosen if was_on[row.name] and not row.on],
        "scripts": [] if order == list(was_on) else order,
    }
    for name, entries in lists.items():
        if entries:
            yield Change(text.CHANGED_LISTS[name], ", ".join(entries))
