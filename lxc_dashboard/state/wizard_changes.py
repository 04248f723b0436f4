"""What a preset or a link changes beyond the defaults, in words, for the user to see before it fills the form. No Reflex here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.choices import DOWNLOAD_PREFIX, Choices
from lxc_dashboard.services.creation.form.defaults import defaults
from lxc_dashboard.services.creation.form.fields import BY_NAME
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state import mount_rows, wizard, wizard_filled
from lxc_dashboard.state.summary import worded

# Whether root in the container is root on the node, which folders of the node it gets, and who gets in as root. The short ones
# first: many keys would hide them.
RISKY: Final = ("unprivileged", mount_rows.FIELD, "ssh_keys")


@dataclass(frozen=True)
class Change:
    """``value`` may have several lines. ``risky``: of ``RISKY``, and mount points only with a folder of the node."""

    label: str
    value: str
    risky: bool = False


def changes(filled: Filled, detail: TemplateDetail | None, offered: Choices) -> list[Change]:
    """``RISKY`` first, then the template, the other fields and what runs in the guest.

    ``detail``: the template that is taken; ``offered``: of the node that ``filled`` names. A privileged container is always
    listed, also where the template asks for it.
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
    is_bind = name == mount_rows.FIELD and any(map(mount_rows.is_bind, mount_rows.rows_of(value)))
    return Change(text.FIELD_LABELS[name], _worded(name, value), risky=is_bind)


def _worded(name: str, value: str) -> str:
    if BY_NAME[name].is_flag:
        return text.SWITCHED_ON if value else text.SWITCHED_OFF
    said = worded(name, value) or value or text.NOTHING
    if name == "ostemplate":
        storage = value.removeprefix(DOWNLOAD_PREFIX).partition(":")[0]
        return text.OS_ON_STORAGE.format(name=said, storage=storage)
    return said


def _in_guest(filled: Filled, detail: TemplateDetail | None) -> Iterator[Change]:
    packages = wizard_filled.packages(wizard.package_rows(detail) if detail else [], filled)
    scripts = wizard.script_rows(detail) if detail else []
    chosen, _ = wizard_filled.scripts(scripts, filled)
    was_on = {row.name: row.on for row in scripts}
    order = [row.name for row in chosen]
    lists = {
        "extras": [f"{manager} {spec}" for manager, spec in filled.extras],
        "packages_off": [row.spec for row in packages if not row.on],
        "scripts_on": [row.name for row in chosen if row.on and not was_on[row.name]],
        "scripts_off": [row.name for row in chosen if was_on[row.name] and not row.on],
        "scripts": [] if order == list(was_on) else order,
    }
    for name, entries in lists.items():
        if entries:
            yield Change(text.CHANGED_LISTS[name], ", ".join(entries))
