"""Packages of a run: which ones, batched by manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PackageRef
from lxc_dashboard.services.creation.steps.installers import custom_script, install_script

if TYPE_CHECKING:
    from lxc_dashboard.services.templates.model import PackageEntry, TemplateContent

BATCH_TIMEOUT_S: Final = 3600
# The system's own first: they bring npm, pip and what custom ones need.
ORDER: Final = (
    PackageManager.APT,
    PackageManager.APK,
    PackageManager.DNF,
    PackageManager.NPM,
    PackageManager.PIP,
    PackageManager.CUSTOM,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Packages of one manager, installed together. A custom package is a batch of its own, with its own timeout."""

    key: str
    title: str
    manager: PackageManager
    count: int
    script: bytes
    timeout_s: int


def batches(spec: ContainerSpec, content: TemplateContent | None) -> list[Batch]:
    """What is to be installed, in order: the template's packages but those taken out, and the added ones."""
    chosen: dict[PackageManager, dict[str, PackageEntry | None]] = {manager: {} for manager in ORDER}
    off = set(spec.packages_off)
    for bucket in content.buckets if content else ():
        for entry in bucket.packages:
            if PackageRef(bucket.name, bucket.manager, entry.spec) not in off:
                chosen[bucket.manager].setdefault(entry.spec, entry)
    for extra in spec.packages_extra:
        chosen[extra.manager].setdefault(extra.spec, None)
    found: list[Batch] = []
    for manager in ORDER:
        if manager is PackageManager.CUSTOM:
            found += [_custom(number, entry) for number, entry in enumerate(chosen[manager].values(), 1) if entry]
        elif chosen[manager]:
            found.append(_batch(manager, list(chosen[manager])))
    return found


def _batch(manager: PackageManager, specs: Sequence[str]) -> Batch:
    name = manager.value
    script = install_script(manager, specs)
    return Batch(f"packages.{name}", f"packages-{name}", manager, len(specs), script, BATCH_TIMEOUT_S)


def _custom(number: int, entry: PackageEntry) -> Batch:
    script = custom_script(entry.spec, entry.check, entry.install)
    key, title = f"packages.custom.{number:03d}", f"custom-{entry.spec}"
    return Batch(key, title, PackageManager.CUSTOM, 1, script, entry.timeout_s)
