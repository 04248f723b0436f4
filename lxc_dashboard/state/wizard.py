"""The wizard's plain parts: what a form says, and what of it is shown. No Reflex here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.services.creation.form import fields
from lxc_dashboard.services.creation.form.choices import Choices, split_os_template
from lxc_dashboard.services.creation.form.defaults import granted, of_node
from lxc_dashboard.services.creation.form.fields import FIELDS, ticked
from lxc_dashboard.services.creation.form.filled import MAX_ITEMS, VALUE_CHARS
from lxc_dashboard.services.creation.form.ssh_keys import KEY_MAX_CHARS, KEYS_MAX
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state import mount_rows

STEPS: Final = fields.STEPS
FLAGS: Final = tuple(row.name for row in FIELDS if row.is_flag)
STEP_OF: Final = {row.name: row.step for row in FIELDS}
# All keys for root, each in a line.
KEYS_CHARS: Final = KEYS_MAX * (KEY_MAX_CHARS + 1)
# Fields that the services tell apart and the form does not.
SHOWN_AS: Final = {"ostemplate_download": "ostemplate", "packages": "packages_extra"}


@dataclass(frozen=True)
class PackageRow:
    """A package of the template, on unless it was taken out."""

    key: str
    bucket: str
    manager: str
    spec: str
    on: bool = True


@dataclass(frozen=True)
class ExtraRow:
    manager: str
    spec: str


@dataclass(frozen=True)
class ScriptRow:
    name: str
    description: str
    content: str
    on: bool = True


@dataclass(frozen=True)
class FindingRow:
    """Something that preflight found. ``severity``: error or warning. ``step`` is where to mend it, empty for nowhere.

    ``field`` is the input's name and ``place`` what a person calls it.
    """

    severity: str
    cause: str
    remedy: str
    step: str = ""
    field: str = ""
    place: str = ""


def refitted(form: Mapping[str, str], offered: Choices, fallback: Mapping[str, str]) -> dict[str, str]:
    """The fields of ``form`` that name something the node does not offer, with what to take instead.

    Where nothing could be read, what was typed stays.
    """
    there: dict[str, set[str]] = {
        "storage": {storage.name for storage in offered.storages},
        "bridge": {bridge.name for bridge in offered.bridges},
    }
    changed = {name: fallback[name] for name, names in there.items() if names and form.get(name) not in names}
    if offered.ostemplates and not offered.has_os_template(form.get("ostemplate", "")):
        changed["ostemplate"] = fallback["ostemplate"]
    if there["storage"]:
        mounts = form.get(mount_rows.FIELD, "")
        refitted_mounts = mount_rows.refitted(mounts, there["storage"], fallback["storage"])
        changed |= {mount_rows.FIELD: refitted_mounts} if refitted_mounts != mounts else {}
    return changed if form.get("node") == offered.node else {"node": offered.node, **changed}


def moved_to(
    form: Mapping[str, str], initial: Mapping[str, str], offered: Choices, wanted: TemplateConfig
) -> tuple[dict[str, str], dict[str, str]]:
    """What changes in ``initial`` and in ``form`` where ``offered`` is that of another node.

    What nobody has changed is what the template names where this node has it; else it stays where it is there.
    """
    fallback, met = of_node(offered, wanted), granted(offered, wanted)
    untouched = {name: value for name, value in met.items() if form.get(name) == initial.get(name)}
    return refitted(initial, offered, fallback) | met, refitted(form, offered, fallback) | untouched


def package_rows(detail: TemplateDetail) -> list[PackageRow]:
    return [
        PackageRow(f"{bucket.name}/{bucket.manager.value}/{entry.spec}", bucket.name, bucket.manager.value, entry.spec)
        for bucket in detail.buckets
        for entry in bucket.packages
    ]


def script_rows(detail: TemplateDetail) -> list[ScriptRow]:
    return [ScriptRow(s.name, s.description, s.content, s.enabled) for s in detail.scripts]


def moved(rows: Sequence[ScriptRow], name: str, by: int) -> list[ScriptRow]:
    """``rows`` with the one named so moved up (-1) or down (1), as far as it goes."""
    found = list(rows)
    at = next((index for index, row in enumerate(found) if row.name == name), -1)
    to = at + by
    if at >= 0 and 0 <= to < len(found):
        found[at], found[to] = found[to], found[at]
    return found


def switched(rows: Sequence[Any], name: str, attribute: str) -> list[Any]:
    """``rows`` with the one whose ``attribute`` is ``name`` switched on or off."""
    return [replace(row, on=not row.on) if getattr(row, attribute) == name else row for row in rows]


def with_extras(rows: Sequence[ExtraRow], manager: str, typed: str) -> list[ExtraRow]:
    """``rows`` and what was typed after them, each once, as many as a draft keeps."""
    return list(dict.fromkeys([*rows, *(ExtraRow(manager, spec) for spec in typed.split())]))[:MAX_ITEMS]


def bounded(name: str, value: str) -> str:
    """What was typed into a field; of what is too long for it so much that this is told."""
    return value[: (KEYS_CHARS if name == "ssh_keys" else VALUE_CHARS) + 1]


def taken(form: Mapping[str, str], versions: Mapping[str, int], data: Mapping[str, Any]) -> dict[str, str]:
    """What the inputs hold; a box that is not ticked is not sent.

    An input that still shows what it held before the server changed it has nothing to say: ``data["versions"]`` is what
    the page knew of ``versions``.
    """
    known = _versions(data.get("versions"))
    current = {name for name in form if known.get(name, 0) == versions.get(name, 0)}
    typed = {name: bounded(name, str(data[name])) for name in current if name in data and name not in FLAGS}
    if mount_rows.FIELD in current:
        typed[mount_rows.FIELD] = mount_rows.taken(form[mount_rows.FIELD], data)
    return {**typed, **{name: ticked(bool(data.get(name))) for name in current if name in FLAGS}}


def _versions(raw: Any) -> dict[str, int]:
    try:
        found = json.loads(str(raw or "{}"))
    except ValueError:
        return {}
    return {name: at for name, at in found.items() if isinstance(at, int)} if isinstance(found, dict) else {}


def raw_of(
    form: Mapping[str, str],
    *,
    revision_id: str,
    packages: Sequence[PackageRow],
    extras: Sequence[ExtraRow],
    scripts: Sequence[ScriptRow],
) -> dict[str, object]:
    """What ``validate`` takes. Scripts are named only where there is a template."""
    ostemplate, download = split_os_template(form.get("ostemplate", ""))
    return {
        **form,
        "ostemplate": ostemplate,
        "ostemplate_download": download,
        "revision_id": revision_id or None,
        "packages_off": [{"bucket": p.bucket, "manager": p.manager, "spec": p.spec} for p in packages if not p.on],
        "packages_extra": [{"manager": e.manager, "spec": e.spec} for e in extras],
        "scripts": [script.name for script in scripts if script.on] if revision_id else None,
    }


def shown_faults(faults: Mapping[str, str]) -> dict[str, str]:
    """``faults`` by the fields that the form shows."""
    found: dict[str, str] = {}
    for name, fault in faults.items():
        found.setdefault(SHOWN_AS.get(name, name), fault)
    return found


def steps_with(faults: Iterable[str]) -> list[str]:
    """The steps that hold one of the wrong fields, in their order."""
    wrong = {STEP_OF.get(SHOWN_AS.get(name, name), "configure") for name in faults}
    return [step for step in STEPS if step in wrong]


def finding_row(finding: Any) -> FindingRow:
    """Of ``findings.Finding``. What no field can mend names no step."""
    step = steps_with([finding.field])[0] if finding.field else ""
    field = SHOWN_AS.get(finding.field, finding.field)
    place = mount_rows.place_of(field) or text.FIELD_LABELS.get(field) or text.STEP_NAMES.get(step, "")
    return FindingRow(finding.severity.value, finding.cause, finding.remedy, step, field, place)


def faults_of(findings: Iterable[Any]) -> dict[str, str]:
    """Preflight's errors by the field beside which they are shown."""
    return shown_faults({f.field: f.cause for f in findings if f.field and f.severity.value == "error"})
