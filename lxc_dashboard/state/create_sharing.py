"""The wizard as a link, and on what a failed job was asked for."""

from __future__ import annotations

from typing import Any

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation import replacement
from lxc_dashboard.services.creation.form import drafts, links
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.state import wizard
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.create_base import Asked
from lxc_dashboard.state.create_presets import PresetsPart
from lxc_dashboard.state.ids import uuid_of


class SharingPart(PresetsPart, mixin=True):
    """``link``: the whole address, while it is shown; ``link_lacks``: what it leaves out. ``edited_name``: of the failed job."""

    link: str = ""
    link_lacks: str = ""
    edited_name: str = ""

    @requires()
    async def open_link(self) -> None:
        """Shows the address that fills the wizard in as it is here."""
        made = links.encode(self._filled())
        names = ", ".join(text.FIELD_LABELS.get(name, text.LINK_LISTS.get(name, name)) for name in made.left_out)
        self.link_lacks = text.LINK_LACKS.format(fields=names) if names else ""
        self.link = f"{self.router.url.origin}{routes.shared_creation(made.coded)}"

    @requires()
    async def close_link(self) -> None:
        self.link, self.link_lacks = "", ""

    @requires()
    async def accept_proposal(self) -> Any:
        """Fills the form with what was shown."""
        filled, name = self._withdraw()
        if filled is None:
            return None
        if name:
            return await self._take_preset(name, filled)
        self.presets_open = False
        await self._take_link(filled)
        self._sum_up()
        return self._there(replace=True)

    @requires()
    async def decline_proposal(self) -> Any:
        """What is here stays."""
        self._withdraw()
        return self._there(replace=True)

    @requires()
    async def start_again(self) -> Any:
        """Forgets what was chosen and typed, the draft too. Of a failed job, what it was asked for stands again."""
        self._clear()
        await self._forget_draft()
        if self.edits:
            await self._take_job(self.edits)
            self.step = "configure"
        else:
            await self._take_template("")
        self._sum_up()
        return self._there()

    @requires()
    async def as_new(self) -> Any:
        """What is chosen here makes another container; the failed job stays as it is."""
        await self._forget_draft()
        self.edits, self.edited_name = "", ""
        self._sum_up()
        await self._keep_draft()
        return self._there()

    async def _begin(self, asked: Asked, coded: str) -> None:
        """What is here, where it belongs to what is asked for; else the draft; else nothing. What a link says is proposed over it."""
        if asked.edit != self.edits:
            self._clear()
        if not self.form:
            await self._resume(asked.edit)
        if asked.template and asked.template != self.template_id:
            await self._take_template(asked.template)
        self._stand(asked)
        found = links.decode(coded) if coded else None
        if found is not None:
            await self._propose(found, text.PROPOSED_LINK, text.PROPOSED_LINK_BY)
        elif coded:
            self.told = list(dict.fromkeys([text.LINK_UNREADABLE, *self.told]))

    def _stand(self, asked: Asked) -> None:
        """At the step that is asked for, as far as the steps before it are done. What is filled in leads to its values."""
        leads_to = asked.step or ("configure" if asked.template or asked.edit else wizard.STEPS[0])
        self.reached = max(self.reached, 1 if asked.template else 0)
        self.step = wizard.STEPS[min(wizard.STEPS.index(leads_to), self.reached)]

    async def _take_link(self, filled: Filled) -> None:
        """In place of what this tab holds; the draft stays until something is changed. The password is given anew."""
        self._clear()
        self.edits, self.from_link = "", True
        await self._fill(filled)
        self.reached = len(wizard.STEPS) - 1
        self.step = "configure" if self.form["password_mode"] == PasswordMode.GIVEN.value else "review"

    async def _resume(self, edit: str) -> None:
        self.edits = _job_id(edit)
        draft = await drafts.find(runtime(), session(), edits=self._edited())
        if self.edits:
            await self._take_job(self.edits, draft.filled if draft else None)
        elif draft is not None:
            await self._fill(draft.filled)
        else:
            await self._take_template("")
        if draft is not None:
            self.draft_at = draft.kept_at.isoformat()
            self.reached = max(self.reached, min(draft.reached, len(wizard.STEPS) - 1))

    async def _take_job(self, job_id: str, kept: Filled | None = None) -> None:
        """What a failed job was asked for, or what was ``kept`` of the changes to it."""
        job = await replacement.of_job(runtime(), session(), uuid_of(job_id, text.NO_SUCH_JOB))
        self.edited_name = job.hostname
        self._edited_template, self._edited_revision = str(job.filled.template_id or ""), job.revision_number
        await self._fill(kept or job.filled)
        self.reached = len(wizard.STEPS) - 1


def _job_id(text_of_it: str) -> str:
    """As it stands in addresses, or nothing. Raises ``NotFoundError`` for what is none."""
    return str(uuid_of(text_of_it, text.NO_SUCH_JOB)) if text_of_it else ""
