"""What somebody else wrote for the wizard, a shared preset or a link: the user sees what it changes before it fills the form."""

from __future__ import annotations

from lxc_dashboard.services.creation.form.choices import choices
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.state import wizard_filled
from lxc_dashboard.state.base import runtime, session
from lxc_dashboard.state.create_review import ReviewPart
from lxc_dashboard.state.wizard_changes import Change, changes


class ProposalPart(ReviewPart, mixin=True):
    """``proposal``: the question, empty where nothing is proposed. ``proposal_about``: who wrote it; ``proposal_at``: when they last changed it.

    ``_proposed`` is kept here: what fills the form is what was shown, whatever its author has changed since. ``_proposed_name`` is the
    preset's, empty for a link.
    """

    proposal: str = ""
    proposal_about: str = ""
    proposal_at: str = ""
    proposed: list[Change] = []
    _proposed: Filled | None = None
    _proposed_name: str = ""

    async def _propose(self, filled: Filled, question: str, about: str, *, name: str = "", at: str = "") -> None:
        known = {row.id for row in self.templates}
        template_id = str(filled.template_id or "")
        detail = await wizard_filled.detail_of(template_id if template_id in known else "")
        offered = await choices(runtime(), session(), filled.form.get("node", ""))
        self.proposed = changes(filled, detail, offered)
        self.proposal, self.proposal_about, self.proposal_at = question, about, at
        self._proposed, self._proposed_name = filled, name

    def _withdraw(self) -> tuple[Filled | None, str]:
        """What was proposed and its name, which nothing shows from here on."""
        proposed, name = self._proposed, self._proposed_name
        self.proposal, self.proposal_about, self.proposal_at, self.proposed = "", "", "", []
        self._proposed, self._proposed_name = None, ""
        return proposed, name
