"""Fill the form at the start from a draft, a failed job or a link, and make a link of the form."""

from __future__ import annotations

from typing import Any

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation import replacement
from lxc_dashboard.services.creation.form import drafts, links
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.state.base import requires, runtime, session, uuid_of
from lxc_dashboard.state.creation.form import STEPS
from lxc_dashboard.state.creation.presets import ProposalState
from lxc_dashboard.state.creation.wizard import Address, WizardPart, WizardState


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
        found = links.decode(link) if link else None
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
        draft = await drafts.find(runtime(), session(), edits=self._edited())
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
        made = links.encode(self._filled())
        names = ", ".join(text.FIELD_LABELS.get(name, text.LINK_LISTS.get(name, name)) for name in made.left_out)
        self.link_lacks = text.LINK_LACKS.format(fields=names) if names else ""
        self.link = f"{self.router.url.origin}{routes.shared_creation(made.coded)}"

    @requires()
    async def close_link(self) -> None:
        self.link, self.link_lacks = "", ""
