"""The wizard's page: loading, moving between steps, and the choice of template, packages and scripts.

Inputs keep their text in the browser while the user changes steps. The server stores a copy as the user's draft,
without the password. The password goes only from its input to the service.

The address names the shown step, so the browser's Back and Forward move between steps. A submit names its step and the
``versions`` of its fields. So a second click does nothing, and old text never overwrites what the server just set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from lxc_dashboard import routes, text
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import replacement
from lxc_dashboard.services.creation.form import choices, filled
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode
from lxc_dashboard.services.creation.form.validation import check_password
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.state.base import PageState, requires, runtime, session, uuid_of
from lxc_dashboard.state.creation import form as fields
from lxc_dashboard.state.creation.form import STEPS
from lxc_dashboard.state.creation.presets import ProposalState
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.creation.wizard import Address, WizardPart, WizardState
from lxc_dashboard.state.templates.template_list import row_of


class StartState(WizardPart, WizardState):
    """``edited_name``: the failed job's hostname. ``moved_on``: a note that its template has another revision now."""

    edited_name: str = ""
    moved_on: str = ""
    moved_on_href: str = ""

    def _on_draw(self) -> None:
        then, current = self._other_revision(), self._revision_number
        name = self.template_name.rpartition(" r")[0]
        there = routes.template_tab(self.template_id, "revisions", old=then, new=current)
        self._set(
            moved_on=text.MOVED_ON.format(then=then, template=name, now=current) if then else "",
            moved_on_href=there if then else "",
        )

    @requires()
    async def start_again(self) -> Any:
        """Discard the choices and the draft. For a failed job, fill in its request again."""
        self._clear()
        await self._forget_draft()
        if self.edits:
            await self._take_job(self.edits)
            self.step = "configure"
        else:
            await self._take_template("")
        self._draw()
        return self._go_there()

    @requires()
    async def as_new(self) -> Any:
        """Create another container from this form. The failed job stays as it is."""
        await self._forget_draft()
        self.edits, self.edited_name = "", ""
        self._draw()
        await self._keep_draft()
        return self._go_there()

    async def _begin(self, address: Address, link: str) -> None:
        """Keep this tab's form if it fits the address, else fill in the draft. Then propose the link."""
        if address.edit != self.edits:
            self._clear()
        if not self.form:
            await self._resume(address.edit)
        if address.template and address.template != self.template_id:
            await self._take_template(address.template)
        self._stand(address)
        found = filled.decode_link(link) if link else None
        if found is not None:
            proposal = await self.get_state(ProposalState)
            await proposal._propose(found, text.PROPOSED_LINK, text.PROPOSED_LINK_BY)
        elif link:
            self.not_filled = list(dict.fromkeys([text.LINK_UNREADABLE, *self.not_filled]))

    def _stand(self, address: Address) -> None:
        """Show the step of the address, or Configure for a template or job, but no step after ``reached``."""
        leads_to = address.step or ("configure" if address.template or address.edit else STEPS[0])
        self.reached = max(self.reached, 1 if address.template else 0)
        self.step = STEPS[min(STEPS.index(leads_to), self.reached)]

    async def _resume(self, job_id: str) -> None:
        """Fill in the draft for this job or a new container, else the job's request. Raises ``NotFoundError``."""
        self.edits = str(uuid_of(job_id, text.NO_SUCH_JOB)) if job_id else ""
        draft = await filled.find_draft(runtime(), session(), edits=self._edited())
        if self.edits:
            await self._take_job(self.edits, draft.filled if draft else None)
        elif draft is not None:
            await self._fill(draft.filled)
        else:
            await self._take_template("")
        if draft is not None:
            self.draft_at = draft.kept_at.isoformat()
            self.reached = max(self.reached, min(draft.reached, len(STEPS) - 1))

    async def _take_job(self, job_id: str, changed: Filled | None = None) -> None:
        """Fill in the request of a failed job, or ``changed``, the draft with the user's changes to it."""
        job = await replacement.of_job(runtime(), session(), uuid_of(job_id, text.NO_SUCH_JOB))
        self.edited_name = job.hostname
        self._job_template, self._job_revision = str(job.filled.template_id or ""), job.revision_number
        await self._fill(changed or job.filled)
        self.reached = len(STEPS) - 1


class LinkState(WizardState):
    """``link``: the URL that fills in the form; empty if not shown. ``link_lacks``: a note on left-out fields."""

    link: str = ""
    link_lacks: str = ""

    @requires()
    async def open_link(self) -> None:
        made = filled.encode_link(self._filled())
        names = ", ".join(text.FIELD_LABELS.get(name, text.LINK_LISTS.get(name, name)) for name in made.left_out)
        self.link_lacks = text.LINK_LACKS.format(fields=names) if names else ""
        self.link = f"{self.router.url.origin}{routes.shared_creation(made.coded)}"

    @requires()
    async def close_link(self) -> None:
        self.link, self.link_lacks = "", ""


EXTRA_MANAGERS: Final = ("apt", "apk", "dnf", "npm", "pip")
SPEC_CHARS: Final = 255


class SelectionState(WizardState):
    """The steps Template, Packages and Scripts."""

    extra_manager: str = EXTRA_MANAGERS[0]

    @requires()
    async def choose(self, template_id: str) -> Any:
        """Select a template, or none. Fields that the user changed stay."""
        await self._take_template(template_id)
        self._draw()
        await self._keep_draft()
        return self._go_there(replace=True)

    @requires()
    async def toggle_package(self, key: str) -> None:
        self.packages = fields.toggle_row(self.packages, key, "key")
        await self._keep_draft()

    @requires()
    async def toggle_script(self, name: str) -> None:
        self.scripts = fields.toggle_row(self.scripts, name, "name")
        await self._keep_draft()

    @requires()
    async def move_script(self, name: str, by: int) -> None:
        """Move a script up (-1) or down (1) by one place."""
        self.scripts = fields.move_row(self.scripts, name, 1 if by > 0 else -1)
        await self._keep_draft()

    @requires()
    async def write_extra(self, spec: str) -> None:
        self.extra_spec = spec[:SPEC_CHARS]

    @requires()
    async def choose_extra_manager(self, manager: str) -> None:
        self.extra_manager = manager if manager in EXTRA_MANAGERS else EXTRA_MANAGERS[0]

    @requires()
    async def add_extra(self) -> None:
        """Add the packages in the input, each once."""
        self._add(self.extra_spec)
        await self._keep_draft()

    @requires()
    async def remove_extra(self, manager: str, spec: str) -> None:
        self.extras = [row for row in self.extras if (row.manager, row.spec) != (manager, spec)]
        await self._keep_draft()

    def _add(self, typed: str) -> None:
        self.extras = fields.add_extras(self.extras, self.extra_manager, typed[:SPEC_CHARS])
        self.extra_spec = ""


class CreateState(PageState, WizardState):
    """``/containers/new``."""

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Show the step of the address, with this tab's form or else the user's draft."""
        address = Address.of(self.router.url.query_parameters)
        link = str(self.router.url.query_parameters.get("from", ""))
        review, proposal = await self.get_state(ReviewState), await self.get_state(ProposalState)
        start = await self.get_state(StartState)
        if not link and self._is_own(address):
            if review._is_unchecked():
                yield ReviewState.check_now
            return
        proposal._withdraw()
        if self.form and not link and address.edit == self.edits and address.template in {"", self.template_id}:
            start._stand(address)
            yield
        async with self._filling():
            found = await catalog.list_templates(session(), runtime().db)
            self.templates = [row_of(summary) for summary in found]
            await self._offer(self.form.get("node", ""))
            review.creating = review.checking = review.checked = False
            await start._begin(address, link)
            self._draw()
            self._show()
            # The address keeps the link until the user answers, so that a reload shows the proposal again.
            following = None if proposal.proposal else self._go_there(replace=True)
            yield following
            # A change of the address would end a check. Then the next ``load`` starts it.
            if self.step == STEPS[-1] and following is None:
                yield ReviewState.check_now

    @requires()
    async def back(self) -> Any:
        self._move_by(-1)
        return self._go_there()

    @requires()
    async def go(self, step: str) -> AsyncIterator[Any]:
        """Show a step that was reached before."""
        if step in STEPS and STEPS.index(step) <= self.reached:
            self.step = step
            yield self._go_there()
            if step == STEPS[-1]:
                yield ReviewState.check_now

    @requires()
    async def forward(self, data: dict[str, Any]) -> AsyncIterator[Any]:
        """Handle Next, or Create in the last step. ``data``: the inputs of all steps."""
        review = await self.get_state(ReviewState)
        if review.creating or data.get("step") != self.step:
            return
        if self.step == STEPS[0]:
            yield await self._next()
            return
        await self._take_inputs(data)
        await self._keep_draft()
        password = str(data.get("password", ""))
        try:
            spec = await self._checked_spec(password)
        except InvalidInputError as error:
            yield self._refuse(error.fields)
            return
        if self.step != STEPS[-1]:
            self._mark({})
            yield await self._next()
            if self.step == STEPS[-1]:
                yield ReviewState.check_now
            return
        review.creating = True
        yield
        yield await review._create(spec, password)

    async def _next(self) -> Any:
        self._move_by(1)
        await self._keep_draft()
        return self._go_there()

    def _move_by(self, steps: int) -> None:
        self._move_to(STEPS[max(0, min(len(STEPS) - 1, STEPS.index(self.step) + steps))])

    async def _take_inputs(self, data: dict[str, Any]) -> None:
        """Take the text of this step's inputs. ``data`` also contains those of other steps, which were taken before."""
        if self.step == "configure":
            self.form.update(fields.merge_inputs(self.form, self.versions, data))
            self._draw()
        elif self.step == "packages":
            (await self.get_state(SelectionState))._add(str(data.get("extra_spec", "")))
            self._rebuild("extra_spec")

    async def _checked_spec(self, password: str) -> ContainerSpec:
        """Validate the form, and ask PVE whether a typed vmid is free.

        Skips the vmid if a job is replaced, because its container's vmid may be used again. The review checks it.
        Raises ``InvalidInputError`` with every invalid field.
        """
        faults: dict[str, Message] = {}
        spec = None
        try:
            # ``_spec`` refuses an unknown mode.
            if self.form.get("password_mode") == PasswordMode.GIVEN.value:
                check_password(PasswordMode.GIVEN, password)
        except InvalidInputError as error:
            faults |= error.reasons
        try:
            spec = self._spec()
        except InvalidInputError as error:
            faults |= error.reasons
        vmid = self.form.get("vmid", "").strip()
        if self.step == "configure" and not self.edits and vmid.isdecimal() and "vmid" not in faults:
            taken = await choices.vmid_fault(runtime(), session(), int(vmid))
            faults |= {"vmid": taken} if taken else {}
        if faults or spec is None:
            raise InvalidInputError(faults)
        return spec
