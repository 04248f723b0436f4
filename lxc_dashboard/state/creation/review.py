"""The step Review: the choices, preflight's findings, the equivalent commands, and the request for the creation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import InvalidInputError, PreflightError, ServiceUnavailableError
from lxc_dashboard.services.creation import batches, preflight, replacement, service
from lxc_dashboard.services.creation.form import command
from lxc_dashboard.services.creation.form.batch import Several
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.creation import form as fields
from lxc_dashboard.state.creation.form import STEPS, FindingRow
from lxc_dashboard.state.creation.summary import Line, bash_text, review_lines
from lxc_dashboard.state.creation.wizard import WizardState
from lxc_dashboard.state.templates.rows import counted

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.batches import Plan
    from lxc_dashboard.services.creation.form.spec import IpSettings
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

    ``new_id``: the job's or batch's id. Raises as ``service.request``, ``request_batch`` and ``replacement.replace``.
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


# An open review repeats preflight every ``Timing.check_review_every_s``, for about an hour.
CHECKS_MAX: Final = 240


class ReviewState(WizardState):
    """``checking``: preflight runs. ``blocked``: it found an error, or has not run yet.

    ``checked_at``: Unix seconds. ``planned`` is empty for one container. ``pct_command`` and ``api_command`` create the
    same without the dashboard; for a batch, only with its plan. ``aim``: the field to focus, with a counter.
    """

    review: list[Line] = []
    findings: list[FindingRow] = []
    errors_found: int = 0
    warnings_found: int = 0
    notes: list[str] = []
    planned: list[PlannedRow] = []
    planned_title: str = ""
    pct_command: str = ""
    api_command: str = ""
    checking: bool = False
    checked: bool = False
    checked_at: float = 0.0
    blocked: bool = True
    creating: bool = False
    aim: str = ""
    _endpoint: str = ""
    _aims: int = 0
    _checks: int = 0
    _watcher: int = 0
    _requested: tuple[ContainerSpec, Several | None] | None = None
    _new_id: UUID | None = None

    @requires(background=True, supersedes=True)
    async def check_now(self) -> AsyncIterator[Any]:
        """Run preflight. Ends an earlier check of this tab, so that each tab runs at most one."""
        rt, who = runtime(), session()
        endpoint = await command.address(rt, who)
        async with self:
            edited, batch = self._edited(), self._several()
            mine, spec, following = self._begin_check(endpoint)
        if spec is None:
            yield following
            return
        try:
            plan, found = await check(rt, who, spec, edited=edited, several=batch)
            async with self:
                if mine == self._checks:
                    self._show_check(plan, found)
        finally:
            async with self:
                self.checking = self.checking and mine != self._checks

    @requires(background=True, supersedes=True)
    async def watch_review(self) -> None:
        """Repeat preflight while the review is open. The earlier findings stay visible until it ends."""
        rt, who = runtime(), session()
        async with self:
            self._watcher += 1
            mine = self._watcher
        for _ in range(CHECKS_MAX):
            async with self:
                if self.step != STEPS[-1] or mine != self._watcher:
                    return
            await asyncio.sleep(rt.timing.check_review_every_s)
            async with self:
                spec, begun = self._idle_spec(), self._checks
                edited, batch = self._edited(), self._several()
            if spec is None:
                continue
            try:
                plan, found = await check(rt, who, spec, edited=edited, several=batch)
            except ServiceUnavailableError:
                continue  # the earlier findings stay, with their age
            async with self:
                if begun == self._checks and not self.creating:
                    self._show_check(plan, found)

    @requires()
    async def go_to_field(self, step: str, field: str) -> Any:
        """Show the field of a finding, and focus it."""
        if step not in STEPS:
            return None
        self._aims += 1
        self.step, self.aim = step, f"{field[:80]}#{self._aims}"
        return self._go_there()

    def _is_unchecked(self) -> bool:
        return self.step == STEPS[-1] and not (self.checking or self.checked)

    def _idle_spec(self) -> ContainerSpec | None:
        """The spec in the review. None if it is invalid, or while a check or the creation runs."""
        if self.checking or self.creating:
            return None
        try:
            return self._spec()
        except InvalidInputError:
            return None

    def _begin_check(self, endpoint: str) -> tuple[int, ContainerSpec | None, Any]:
        """Return the check's number, the spec, and the event to follow. The spec is None for an invalid form."""
        self._checks += 1
        self.checking, self.checked, self.blocked, self.findings, self.notes = False, False, True, [], []
        self._endpoint = endpoint
        self._show_plan(None)
        self.pct_command = self.api_command = ""
        self.review = review_lines(
            self.form, self._template_line(), packages=self.packages, extras=self.extras, scripts=self.scripts
        )
        try:
            spec = self._spec()
        except InvalidInputError as error:
            return self._checks, None, self._refuse(error.fields)
        self._show_commands(spec)
        self.checking = True
        return self._checks, spec, None

    def _template_line(self) -> str:
        then = self._other_revision()
        return text.TEMPLATE_SINCE.format(template=self.template_name, then=then) if then else self.template_name

    def _show_commands(self, spec: ContainerSpec) -> None:
        vmid = spec.vmid or (self._choices.next_vmid if self._choices else None)
        if vmid is not None and self._several() is None:
            self.pct_command = command.pct_create(spec, vmid)
            self.api_command = bash_text(command.api_call(spec, vmid, at=self._endpoint))

    def _show_plan(self, plan: Plan | None) -> None:
        if self._several() is not None:
            self.pct_command = command.pct_create_all(plan.specs) if plan else ""
            self.api_command = bash_text(command.api_calls(plan.specs, at=self._endpoint)) if plan else ""
        self.planned = planned_rows(plan)
        self.planned_title = title_of(self.planned)

    def _show_check(self, plan: Plan | None, found: Sequence[Finding]) -> None:
        self._show_plan(plan)
        self._show_findings(found)

    def _show_findings(self, found: Sequence[Any]) -> None:
        self.findings = [fields.finding_row(finding) for finding in found if finding.severity.value != "note"]
        self.notes = [text.in_words_of(finding.message) for finding in found if finding.severity.value == "note"]
        self.errors_found = sum(row.severity == "error" for row in self.findings)
        self.warnings_found = len(self.findings) - self.errors_found
        self.checked, self.checked_at, self.blocked = True, time.time(), self.errors_found > 0
        self._mark(fields.faults_of(found))

    async def _create(self, spec: ContainerSpec, password: str) -> Any:
        """Request the creation and empty the wizard. Return the event to follow."""
        secrets = service.Secrets(password if spec.password_mode is PasswordMode.GIVEN else None)
        edited, batch = self._edited(), self._several()
        try:
            page = await request(
                runtime(), session(), spec, secrets, new_id=self._id_for(spec), edited=edited, several=batch
            )
        except PreflightError as error:
            self._show_findings(error.findings)
            return None
        except InvalidInputError as error:
            return self._refuse(error.fields)
        finally:
            self.creating = False
        await self._forget_draft()
        self._wizard().reset()
        return rx.redirect(page)

    def _id_for(self, spec: ContainerSpec) -> UUID:
        """The id of the job or batch. A repeated request gets the same id, so that it creates only one."""
        request = (spec, self._several())
        if self._new_id is None or self._requested != request:
            self._requested, self._new_id = request, new_id()
        return self._new_id
