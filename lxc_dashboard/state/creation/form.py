"""The wizard's form as plain values: its rows, its steps, and how it fits a node. No Reflex here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.services.creation.form import fields
from lxc_dashboard.services.creation.form.choices import Choices, granted, of_node, split_os_template
from lxc_dashboard.services.creation.form.fields import FIELDS, ticked
from lxc_dashboard.services.creation.form.filled import MAX_ITEMS, VALUE_CHARS
from lxc_dashboard.services.creation.form.readers import KEY_MAX_CHARS, KEYS_MAX
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateDetail
from lxc_dashboard.state.creation import mount_rows

STEPS: Final = fields.STEPS
FLAGS: Final = tuple(row.name for row in FIELDS if row.is_flag)
STEP_OF: Final = {row.name: row.step for row in FIELDS}
# All SSH keys of root, one per line.
KEYS_CHARS: Final = KEYS_MAX * (KEY_MAX_CHARS + 1)
# Fields of the services that have no input in the form, and the input that shows their faults.
SHOWN_AS: Final = {"ostemplate_download": "ostemplate", "packages": "packages_extra"}


@dataclass(frozen=True)
class PackageRow:
    """A package of the template. ``on``: it will be installed."""

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
    """A finding of preflight. ``severity``: error or warning.

    ``step``: where to fix it, empty if no field can. ``field``: the name of the input; ``place``: its label.
    """

    severity: str
    cause: str
    remedy: str
    step: str = ""
    field: str = ""
    place: str = ""


def replace_missing(form: Mapping[str, str], offered: Choices, fallback: Mapping[str, str]) -> dict[str, str]:
    """New values for fields whose value the node lacks. A field stays if PVE listed nothing for it."""
    there: dict[str, set[str]] = {
        "storage": {storage.name for storage in offered.storages},
        "bridge": {bridge.name for bridge in offered.bridges},
    }
    changed = {name: fallback[name] for name, names in there.items() if names and form.get(name) not in names}
    if offered.ostemplates and not offered.has_os_template(form.get("ostemplate", "")):
        changed["ostemplate"] = fallback["ostemplate"]
    if there["storage"]:
        mounts = form.get(mount_rows.FIELD, "")
        refitted_mounts = mount_rows.replace_missing(mounts, there["storage"], fallback["storage"])
        changed |= {mount_rows.FIELD: refitted_mounts} if refitted_mounts != mounts else {}
    return changed if form.get("node") == offered.node else {"node": offered.node, **changed}


def fit_to_node(
    form: Mapping[str, str], initial: Mapping[str, str], offered: Choices, config: TemplateConfig
) -> tuple[dict[str, str], dict[str, str]]:
    """The changes of ``initial`` and of ``form`` for the node of ``offered``.

    A field that the user did not change gets the template's value, if the node has it.
    """
    fallback, met = of_node(offered, config), granted(offered, config)
    untouched = {name: value for name, value in met.items() if form.get(name) == initial.get(name)}
    return replace_missing(initial, offered, fallback) | met, replace_missing(form, offered, fallback) | untouched


def package_rows(detail: TemplateDetail) -> list[PackageRow]:
    return [
        PackageRow(f"{bucket.name}/{bucket.manager.value}/{entry.spec}", bucket.name, bucket.manager.value, entry.spec)
        for bucket in detail.buckets
        for entry in bucket.packages
    ]


def script_rows(detail: TemplateDetail) -> list[ScriptRow]:
    return [ScriptRow(s.name, s.description, s.content, s.enabled) for s in detail.scripts]


def move_row(rows: Sequence[ScriptRow], name: str, by: int) -> list[ScriptRow]:
    """``rows`` with the script ``name`` moved up (-1) or down (1), if possible."""
    found = list(rows)
    at = next((index for index, row in enumerate(found) if row.name == name), -1)
    to = at + by
    if at >= 0 and 0 <= to < len(found):
        found[at], found[to] = found[to], found[at]
    return found


def toggle_row(rows: Sequence[Any], name: str, attribute: str) -> list[Any]:
    """``rows`` with the one whose ``attribute`` is ``name`` toggled."""
    return [replace(row, on=not row.on) if getattr(row, attribute) == name else row for row in rows]


def add_extras(rows: Sequence[ExtraRow], manager: str, typed: str) -> list[ExtraRow]:
    """``rows`` and the typed packages, without repetitions, at most ``MAX_ITEMS``."""
    return list(dict.fromkeys([*rows, *(ExtraRow(manager, spec) for spec in typed.split())]))[:MAX_ITEMS]


def clip(name: str, value: str) -> str:
    """``value`` cut to one character more than is valid, so that validation reports it."""
    return value[: (KEYS_CHARS if name == "ssh_keys" else VALUE_CHARS) + 1]


def merge_inputs(form: Mapping[str, str], versions: Mapping[str, int], data: Mapping[str, Any]) -> dict[str, str]:
    """The values of the submitted inputs. A browser does not send an unticked checkbox.

    ``data["versions"]``: the ``versions`` that the page shows. Skips an input with an older version, which still has
    its old text.
    """
    known = _versions(data.get("versions"))
    current = {name for name in form if known.get(name, 0) == versions.get(name, 0)}
    typed = {name: clip(name, str(data[name])) for name in current if name in data and name not in FLAGS}
    if mount_rows.FIELD in current:
        typed[mount_rows.FIELD] = mount_rows.merge_inputs(form[mount_rows.FIELD], data)
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
    """The argument of ``validate``. Only a template has scripts."""
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
    """``faults`` by the fields of the form."""
    found: dict[str, str] = {}
    for name, fault in faults.items():
        found.setdefault(SHOWN_AS.get(name, name), fault)
    return found


def steps_of(faults: Iterable[str]) -> list[str]:
    """The steps of these fields, in order."""
    wrong = {STEP_OF.get(SHOWN_AS.get(name, name), "configure") for name in faults}
    return [step for step in STEPS if step in wrong]


def finding_row(finding: Any) -> FindingRow:
    """The row of a ``findings.Finding``."""
    step = steps_of([finding.field])[0] if finding.field else ""
    field = SHOWN_AS.get(finding.field, finding.field)
    place = mount_rows.place_of(field) or text.FIELD_LABELS.get(field) or text.STEP_NAMES.get(step, "")
    return FindingRow(
        finding.severity.value, text.in_words_of(finding.message), text.remedy_of(finding.message), step, field, place
    )


def faults_of(findings: Iterable[Any]) -> dict[str, str]:
    """Preflight's errors by the field of the form."""
    errors = (found for found in findings if found.field and found.severity.value == "error")
    return shown_faults({found.field: text.in_words_of(found.message) for found in errors})
