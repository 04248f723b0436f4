"""Fill the form from a draft, link or preset, and list its changes as text. No Reflex here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.choices import DOWNLOAD_PREFIX, Choices, defaults, is_system, lacking
from lxc_dashboard.services.creation.form.fields import BY_NAME
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation.form import ExtraRow, PackageRow, ScriptRow, package_rows, script_rows
from lxc_dashboard.state.creation.summary import in_words

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
