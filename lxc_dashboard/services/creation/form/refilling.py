"""From a spec back to the wizard that it came from: ``validation`` the other way round."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.creation import replacement
from lxc_dashboard.services.creation.form.choices import DOWNLOAD_PREFIX
from lxc_dashboard.services.creation.form.defaults import ticked
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings, Mount
from lxc_dashboard.services.templates.library import catalog as templates

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.summaries import TemplateDetail

# What the wizard holds beside its form.
_BESIDE: Final = frozenset({"revision_id", "packages_off", "packages_extra", "scripts", "ostemplate_download"})


@dataclass(frozen=True, slots=True)
class Refilled:
    """``revision_number``: of its template, that the job was asked for; 0: it had none, or that is not there any more."""

    hostname: str
    filled: Filled
    revision_number: int = 0


async def of_job(rt: Runtime, session: Session, job_id: UUID) -> Refilled:
    """What a failed or cancelled job of one's own was asked for. Raises as ``replacement.editable``.

    Of the template, its current revision: a script that came since the job is off where the job named its scripts.
    """
    spec = await replacement.editable(rt, session, job_id)
    number, detail = await _template_of(rt, session, spec)
    return Refilled(spec.hostname, filled_of(spec, detail), number)


def filled_of(spec: ContainerSpec, detail: TemplateDetail | None) -> Filled:
    """``detail``: the template as it is now; None where there is none, or not any more."""
    runs = spec.scripts
    names = [script.name for script in detail.scripts] if detail else []
    return Filled(
        form=form_of(spec),
        template_id=detail.summary.id if detail else None,
        template_name=detail.summary.name if detail else "",
        packages_off=tuple(f"{ref.bucket}/{ref.manager.value}/{ref.spec}" for ref in spec.packages_off),
        extras=tuple((extra.manager.value, extra.spec) for extra in spec.packages_extra),
        scripts=() if runs is None else (*runs, *(name for name in names if name not in runs)),
        scripts_off=() if runs is None else tuple(name for name in names if name not in runs),
    )


def form_of(spec: ContainerSpec) -> dict[str, str]:
    """The wizard's form that ``validate`` makes this spec of."""
    form: dict[str, str] = {}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, IpSettings):
            parts = {"mode": value.mode.value, "address": value.address, "gateway": value.gateway}
            form |= {f"{field.name}_{part}": text for part, text in parts.items()}
        elif field.name not in _BESIDE:
            form[field.name] = _text(field.name, value)
    if spec.ostemplate_download:
        form["ostemplate"] = f"{DOWNLOAD_PREFIX}{spec.ostemplate}"
    return form


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return ticked(value)
    if isinstance(value, tuple):
        if name == "mounts":
            return json.dumps([_mount(mount) for mount in value], separators=(",", ":")) if value else ""
        return ("\n" if name == "ssh_keys" else " ").join(value)
    return "" if value is None else str(value)


def _mount(mount: Mount) -> dict[str, Any]:
    return asdict(mount) | {"size_gib": "" if mount.is_bind else str(mount.size_gib)}


async def _template_of(rt: Runtime, session: Session, spec: ContainerSpec) -> tuple[int, TemplateDetail | None]:
    """The number of the spec's revision, and its template as it is now."""
    if spec.revision_id is None:
        return 0, None
    try:
        async with rt.db.transaction() as tx:
            template, revision = await tx.templates.revision(spec.revision_id)
        return revision.number, await templates.get_template(session, rt.db, template.id)
    except NotFoundError:
        return 0, None
