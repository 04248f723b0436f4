"""From what a draft, a link or a preset holds to what the wizard shows, as far as it is still there. No Reflex here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.choices import Choices, is_system
from lxc_dashboard.services.creation.form.defaults import lacking
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state import mount_rows
from lxc_dashboard.state.base import runtime, session
from lxc_dashboard.state.ids import uuid_of
from lxc_dashboard.state.summary import worded
from lxc_dashboard.state.wizard import ExtraRow, PackageRow, ScriptRow

Replaced = tuple[str, str]


async def detail_of(template_id: str) -> TemplateDetail | None:
    """The template, or None for no template. Raises NotFoundError."""
    if not template_id:
        return None
    wanted = uuid_of(template_id, text.NO_SUCH_TEMPLATE)
    return await templates.get_template(session(), runtime().db, wanted)


def template_gone(name: str) -> str:
    return text.TEMPLATE_GONE.format(template=name or text.TEMPLATE)


def fallen_back(form: Mapping[str, str], changed: Mapping[str, str]) -> list[str]:
    """What is told of the fields that got something else than ``form`` asks for."""
    node = changed.get("node", form.get("node", ""))
    return [
        text.FELL_BACK.format(
            field=text.FIELD_LABELS.get(name, name),
            was=worded(name, form[name]),
            now=worded(name, now) or text.NOTHING,
            node=node,
        )
        for name, now in changed.items()
        if form.get(name) and form[name] != now
    ]


def replaced(form: Mapping[str, str], initial: Mapping[str, str], changed: Mapping[str, str]) -> dict[str, Replaced]:
    """What somebody chose in ``form`` and another node has not, by field, and what ``changed`` has for it. Mount points are chosen."""
    chosen = {name: form.get(name, "") for name in text.STANDS_IN if form.get(name) != initial.get(name)}
    chosen |= mount_rows.sources(form.get(mount_rows.FIELD, ""))
    instead = {**changed, **mount_rows.sources(changed.get(mount_rows.FIELD, ""))}
    return {name: (was, instead[name]) for name, was in chosen.items() if was and instead.get(name, was) != was}


def stand_ins(
    form: Mapping[str, str], offered: Choices, wanted: TemplateConfig, before: Mapping[str, Replaced]
) -> dict[str, str]:
    """What is told beside a field whose node has not what was chosen there, or what the template names: what that is, and what is
    chosen instead. ``before`` is what ``replaced`` found.
    """
    told = {}
    texts = {**text.STANDS_IN, **(text.STANDS_IN_UNSEEN if offered.hides_storages else {})}
    for name, wish in lacking(offered, wanted).items():
        chosen = form.get(name, "")
        is_met = name == "ostemplate" and is_system(chosen.rpartition("/")[2], wanted.os, wanted.version)
        if chosen and not is_met:
            told[name] = texts[name].format(wish=wish, node=offered.node, now=worded(name, chosen))
    stands = {**form, **mount_rows.sources(form.get(mount_rows.FIELD, ""))}
    for name, (was, now) in before.items():
        if stands.get(name) == now:
            words = {"was": worded(name, was), "node": offered.node, "now": worded(name, now) or text.NOTHING}
            told[name] = text.REPLACED.format(**words)
    return told


def extras(filled: Filled) -> list[ExtraRow]:
    return [ExtraRow(manager, spec) for manager, spec in filled.extras]


def packages(rows: Sequence[PackageRow], filled: Filled) -> list[PackageRow]:
    """The template's packages, without those that were taken out."""
    return [replace(row, on=row.key not in filled.packages_off) for row in rows]


def scripts(rows: Sequence[ScriptRow], filled: Filled) -> tuple[list[ScriptRow], list[str]]:
    """The template's scripts in the order that was chosen, those that came since last; and what is told of those that went."""
    by_name = {row.name: row for row in rows}
    kept = [by_name[name] for name in dict.fromkeys(filled.scripts) if name in by_name]
    new = [row for row in rows if row.name not in filled.scripts]
    found = [replace(row, on=row.name not in filled.scripts_off) for row in kept] + new
    gone = [name for name in filled.scripts if name not in by_name and name not in filled.scripts_off]
    return found, [text.SCRIPTS_GONE.format(scripts=", ".join(gone))] if gone else []
