"""The wizard: template, configure, packages, scripts, review.

What is typed stays in the page's own inputs from step to step, so nothing is lost by an error or by going back; a copy without
the password is kept here, and as the user's draft. The password goes from its input to the service and is kept nowhere in between.

The address says where the wizard stands: the browser's back and forward lead through the steps. Each submit says which step it
was pressed in and which ``versions`` of the fields it shows: a second click of the same button does nothing, and an input that
the server has just filled is not overwritten with what it held before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import reflex as rx

from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import InvalidInputError, PreflightError
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.creation.form.batch import Several
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode
from lxc_dashboard.services.creation.form.validation import check_password
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.state import wizard
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.create_base import Asked
from lxc_dashboard.state.create_sharing import SharingPart
from lxc_dashboard.state.templates.template_list import row_of


class CreateState(SharingPart, rx.State):
    """``/containers/new``. Its parts stand in modules of their own, ``create_base`` beneath them all."""

    _asked: tuple[ContainerSpec, Several | None] | None = None
    _creation_id: UUID | None = None

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Where the address says, with what this tab holds, else with the user's draft."""
        asked, coded = Asked.of(self.router.url.query_parameters), str(self.router.url.query_parameters.get("from", ""))
        if not coded and self._is_own(asked):
            if self._is_unchecked():
                yield CreateState.check_now
            return
        self._withdraw()
        if self.form and not coded and asked.edit == self.edits and asked.template in {"", self.template_id}:
            self._stand(asked)
            yield
        async with self._filling():
            await self._read()
            await self._begin(asked, coded)
            self._sum_up()
            self._show()
            # The address keeps the link until the user has answered: a reload shows it again.
            leads_to = None if self.proposal else self._there(replace=True)
            yield leads_to
            # What is begun here ends when the address changes: then it begins there.
            if self.step == "review" and leads_to is None:
                yield CreateState.check_now

    @requires()
    async def back(self) -> Any:
        self._move(-1)
        return self._there()

    @requires()
    async def go(self, step: str) -> AsyncIterator[Any]:
        """To a step that was reached before."""
        if step in wizard.STEPS and wizard.STEPS.index(step) <= self.reached:
            self.step = step
            yield self._there()
            if step == "review":
                yield CreateState.check_now

    @requires()
    async def forward(self, data: dict[str, Any]) -> AsyncIterator[Any]:
        """Next, or Create in the last step. ``data`` is the whole form."""
        if self.creating or data.get("step") != self.step:
            return
        if self.step == "template":
            yield await self._step_on()
            return
        self._take_inputs(data)
        await self._keep_draft()
        password = str(data.get("password", ""))
        try:
            spec = await self._checked_spec(password)
        except InvalidInputError as error:
            yield self._refuse(error.fields)
            return
        if self.step != "review":
            self._mark({})
            yield await self._step_on()
            if self.step == "review":
                yield CreateState.check_now
            return
        self.creating = True
        yield
        yield await self._create(spec, password)

    def _is_unchecked(self) -> bool:
        return self.step == "review" and not (self.checking or self.checked)

    async def _read(self) -> None:
        """What there is to choose from."""
        found = await templates.list_templates(session(), runtime().db)
        self.templates = [row_of(summary) for summary in found]
        await self._offer(self.form.get("node", ""))
        self.creating = self.checking = self.checked = False

    def _take_inputs(self, data: dict[str, Any]) -> None:
        """What was typed in this step. The other steps' inputs are sent along and say nothing new."""
        if self.step == "configure":
            self.form.update(wizard.taken(self.form, self.versions, data))
            self._sum_up()
        elif self.step == "packages":
            self.extra_spec = str(data.get("extra_spec", ""))[:255]
            self._add_typed()
            self._changed_here("extra_spec")

    async def _checked_spec(self, password: str) -> ContainerSpec:
        """What is asked for. Raises InvalidInputError with all that is wrong; PVE is asked for a vmid that was typed.

        That of a failed job's container may be taken again: the review knows.
        """
        faults: dict[str, str] = {}
        spec = None
        try:
            # Another mode than there are is a fault of the spec.
            if self.form.get("password_mode") == PasswordMode.GIVEN.value:
                check_password(PasswordMode.GIVEN, password)
        except InvalidInputError as error:
            faults |= error.fields
        try:
            spec = self._spec()
        except InvalidInputError as error:
            faults |= error.fields
        vmid = self.form.get("vmid", "").strip()
        if self.step == "configure" and not self.edits and vmid.isdecimal() and "vmid" not in faults:
            taken = await choices.vmid_fault(runtime(), session(), int(vmid))
            faults |= {"vmid": taken} if taken else {}
        if faults or spec is None:
            raise InvalidInputError(faults)
        return spec

    async def _step_on(self) -> Any:
        self._move(1)
        await self._keep_draft()
        return self._there()

    def _id_for(self, spec: ContainerSpec) -> UUID:
        """The job's or batch's id: the same as long as the same is asked for, so that asking twice makes it once."""
        asked = (spec, self._several())
        if self._creation_id is None or self._asked != asked:
            self._asked, self._creation_id = asked, new_id()
        return self._creation_id

    async def _create(self, spec: ContainerSpec, password: str) -> Any:
        secrets = service.Secrets(password if spec.password_mode is PasswordMode.GIVEN else None)
        wanted = self._id_for(spec)
        try:
            leads_to = await self._request(spec, secrets, wanted)
        except PreflightError as error:
            self._show_findings(error.findings)
            return None
        except InvalidInputError as error:
            return self._refuse(error.fields)
        finally:
            self.creating = False
        await self._forget_draft()
        self.reset()
        return rx.redirect(leads_to)
