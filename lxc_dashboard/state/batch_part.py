"""Several containers at once: the part of the wizard that plans a batch, shows it, and has it made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation import batches, preflight, replacement, service
from lxc_dashboard.services.creation.form import command
from lxc_dashboard.services.creation.form.batch import Several
from lxc_dashboard.state.appliances import Appliances
from lxc_dashboard.state.base import runtime, session
from lxc_dashboard.state.templates.rows import counted

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.batches import Plan
    from lxc_dashboard.services.creation.findings import Finding
    from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings


@dataclass(frozen=True)
class PlannedRow:
    """One container of the batch as it would be made now."""

    hostname: str
    ipv4: str
    ipv6: str


class BatchPart(Appliances, mixin=True):
    """``planned`` is empty where one container is asked for; ``planned_title`` sums it up.

    ``pct_command`` and ``api_command`` make the same without the dashboard: of several, once their addresses are planned.
    """

    planned: list[PlannedRow] = []
    planned_title: str = ""
    pct_command: str = ""
    api_command: str = ""
    _endpoint: str = ""

    def _several(self) -> Several | None:
        """What is asked for beside the spec. None: one container, as always where a job is edited."""
        return None if self.edits else Several.of(self.form)

    def _show_plan(self, found: Plan | None) -> None:
        if self._several() is not None:
            self.pct_command = command.pct_create_all(found.specs) if found else ""
            self.api_command = command.api_calls(found.specs, at=self._endpoint) if found else ""
        self.planned = (
            [PlannedRow(spec.hostname, _ip(spec.ipv4), _ip(spec.ipv6)) for spec in found.specs] if found else []
        )
        self.planned_title = titled(self.planned)

    async def _request(self, spec: ContainerSpec, secrets: service.Secrets, wanted: UUID) -> str:
        """Has it made, all of them, or one in place of what a job left; the address of its page.

        Raises as ``service.request``, ``request_batch`` and ``replacement.replace``.
        """
        edited, asked = self._edited(), self._several()
        if edited is not None:
            return routes.job(await replacement.replace(runtime(), session(), edited, spec, secrets, wanted=wanted))
        if asked is None:
            return routes.job(await service.request(runtime(), session(), spec, secrets, job_id=wanted))
        batch_id = await batches.request_batch(
            runtime(), session(), spec=spec, secrets=secrets, batch_id=wanted, **asdict(asked)
        )
        return routes.batch(batch_id)


async def found_by(
    rt: Runtime, who: Session, spec: ContainerSpec, *, edited: UUID | None, asked: Several | None
) -> tuple[Plan | None, list[Finding]]:
    """What preflight finds, and what would be made where it is several. ``edited``: the job that is replaced."""
    if edited is not None:
        return None, await replacement.check(rt, who, edited, spec)
    if asked is not None:
        return await batches.look(rt, who, spec=spec, **asdict(asked))
    return None, await preflight.check(rt, who, spec)


def titled(rows: list[PlannedRow]) -> str:
    """``20 containers: web-01 ... web-20, 10.0.0.10 ... 10.0.0.29``."""
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
