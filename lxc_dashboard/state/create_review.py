"""The wizard's review: what was chosen, what preflight finds, and the same as a command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from lxc_dashboard.errors import InvalidInputError, ServiceUnavailableError
from lxc_dashboard.services.creation.form import command
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.state import wizard
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.batch_part import BatchPart, found_by
from lxc_dashboard.state.summary import Line, review_lines
from lxc_dashboard.state.wizard import FindingRow

# While the review is open and seen, PVE is asked again every ``check_review_every_s``, and for an hour at most.
CHECKS_AT_MOST: Final = 240


class ReviewPart(BatchPart, mixin=True):
    """``checking``: preflight runs. ``blocked``: it has found what stops a creation, or has not run.

    ``checked_at`` in seconds since the epoch. ``aim``: the field that a finding has led to, with a number that grows.
    """

    review: list[Line] = []
    findings: list[FindingRow] = []
    errors_found: int = 0
    warnings_found: int = 0
    notes: list[str] = []
    checking: bool = False
    checked: bool = False
    checked_at: float = 0.0
    blocked: bool = True
    creating: bool = False
    aim: str = ""
    _aims: int = 0
    _checks: int = 0
    _watcher: int = 0

    @requires(background=True, supersedes=True)
    async def check_now(self) -> AsyncIterator[Any]:
        """Preflight: what would fail, before anything is made. A later check ends an earlier one, so that a tab asks PVE once at a time."""
        rt, who = runtime(), session()
        endpoint = await command.address(rt, who)
        async with self:
            edited, asked = self._edited(), self._several()
            mine, spec, leads_to = self._begin_check(endpoint)
        if spec is None:
            yield leads_to
            return
        try:
            planned, found = await found_by(rt, who, spec, edited=edited, asked=asked)
            async with self:
                if mine == self._checks:
                    self._show_plan(planned)
                    self._show_findings(found)
        finally:
            async with self:
                self.checking = self.checking and mine != self._checks

    @requires(background=True, supersedes=True)
    async def watch_review(self) -> None:
        """Preflight again and again, as long as the review is open: it ends with the page, and takes nothing away meanwhile."""
        rt, who = runtime(), session()
        async with self:
            self._watcher += 1
            mine = self._watcher
        for _ in range(CHECKS_AT_MOST):
            async with self:
                if self.step != wizard.STEPS[-1] or mine != self._watcher:
                    return
            await asyncio.sleep(rt.timing.check_review_every_s)
            async with self:
                spec, begun = self._still_asked(), self._checks
                edited, asked = self._edited(), self._several()
            if spec is None:
                continue
            try:
                planned, found = await found_by(rt, who, spec, edited=edited, asked=asked)
            except ServiceUnavailableError:
                continue  # what was found before stays, with its age
            async with self:
                if begun == self._checks and not self.creating:
                    self._show_plan(planned)
                    self._show_findings(found)

    @requires()
    async def mend(self, step: str, field: str) -> Any:
        """To the field that a finding is about."""
        if step not in wizard.STEPS:
            return None
        self._aims += 1
        self.step, self.aim = step, f"{field[:80]}#{self._aims}"
        return self._there()

    def _still_asked(self) -> ContainerSpec | None:
        """What stands in the review, checked or not for want of an answer; None where something else goes on."""
        if self.checking or self.creating:
            return None
        try:
            return self._spec()
        except InvalidInputError:
            return None

    def _begin_check(self, endpoint: str) -> tuple[int, ContainerSpec | None, Any]:
        """The check's number, and what is to be checked; without it, where to mend what is wrong."""
        self._checks += 1
        self.checking, self.checked, self.blocked, self.findings, self.notes = False, False, True, [], []
        self.pct_command = self.api_command = ""
        self._endpoint = endpoint
        self._show_plan(None)
        self.review = review_lines(
            self.form, self._template_said(), packages=self.packages, extras=self.extras, scripts=self.scripts
        )
        try:
            spec = self._spec()
        except InvalidInputError as error:
            return self._checks, None, self._refuse(error.fields)
        self._show_commands(spec, endpoint)
        self.checking = True
        return self._checks, spec, None

    def _show_commands(self, spec: ContainerSpec, endpoint: str) -> None:
        vmid = spec.vmid or (self._choices.next_vmid if self._choices else None)
        if vmid is not None and self._several() is None:
            self.pct_command = command.pct_create(spec, vmid)
            self.api_command = command.api_call(spec, vmid, at=endpoint)

    def _show_findings(self, found: Any) -> None:
        self.findings = [wizard.finding_row(finding) for finding in found if finding.severity.value != "note"]
        self.notes = [finding.cause for finding in found if finding.severity.value == "note"]
        self.errors_found = sum(row.severity == "error" for row in self.findings)
        self.warnings_found = len(self.findings) - self.errors_found
        self.checked, self.checked_at, self.blocked = True, time.time(), self.errors_found > 0
        self._mark(wizard.faults_of(found))

    def _refuse(self, faults: Mapping[str, str]) -> Any:
        """Shows the first step that has something to mend, each fault beside its field."""
        self._mark(wizard.shown_faults(faults))
        self.step = self.to_mend[0]
        self.refusals += 1
        self.creating = False
        return self._there()
