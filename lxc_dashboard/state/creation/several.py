"""Preflight and the request for one container or several, and the plan in rows. No Reflex here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation import batches, preflight, replacement, service
from lxc_dashboard.services.creation.form.batch import Several
from lxc_dashboard.state.templates.rows import counted

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.batches import Plan
    from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings
    from lxc_dashboard.services.creation.preflight.findings import Finding


@dataclass(frozen=True)
class PlannedRow:
    """One container of the batch as it would be created now."""

    hostname: str
    ipv4: str
    ipv6: str


async def check(
    rt: Runtime, who: Session, spec: ContainerSpec, *, edited: UUID | None, several: Several | None
) -> tuple[Plan | None, list[Finding]]:
    """Preflight. The plan is None for one container. ``edited``: the failed job to replace."""
    if edited is not None:
        return None, await replacement.check(rt, who, edited, spec)
    if several is not None:
        return await batches.look(rt, who, spec=spec, **asdict(several))
    return None, await preflight.check(rt, who, spec)


async def request(
    rt: Runtime,
    who: Session,
    spec: ContainerSpec,
    secrets: service.Secrets,
    *,
    new_id: UUID,
    edited: UUID | None,
    several: Several | None,
) -> str:
    """Request the creation. Return the address of the job's or batch's page.

    ``new_id``: the id of the job or batch. Raises as ``service.request``, ``request_batch`` and ``replacement.replace`` do.
    """
    if edited is not None:
        return routes.job(await replacement.replace(rt, who, edited, spec, secrets, wanted=new_id))
    if several is None:
        return routes.job(await service.request(rt, who, spec, secrets, job_id=new_id))
    batch_id = await batches.request_batch(rt, who, spec=spec, secrets=secrets, batch_id=new_id, **asdict(several))
    return routes.batch(batch_id)


def planned_rows(plan: Plan | None) -> list[PlannedRow]:
    specs = plan.specs if plan else ()
    return [PlannedRow(spec.hostname, _ip(spec.ipv4), _ip(spec.ipv6)) for spec in specs]


def title_of(rows: Sequence[PlannedRow]) -> str:
    """``20 containers: web-01 … web-20, 10.0.0.10 … 10.0.0.29``."""
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    spans = [(first.hostname, last.hostname)]
    spans += [(a, b) for a, b in ((first.ipv4, last.ipv4), (first.ipv6, last.ipv6)) if a != b]
    bare = [(a.partition("/")[0], b.partition("/")[0]) for a, b in spans]
    shown = ", ".join(a if a == b else f"{a} … {b}" for a, b in bare)
    return text.SEVERAL_TITLE.format(containers=counted(len(rows), "container"), spans=shown)


def _ip(settings: IpSettings) -> str:
    return settings.address or text.IP_WORDS[settings.mode.value]
