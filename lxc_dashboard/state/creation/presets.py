"""Presets, and the proposal to fill the form from another user's preset or a link.

The user's own preset fills the form at once. For another user's preset or a link, the page first shows its changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.services.creation.form import presets
from lxc_dashboard.services.creation.form.choices import choices
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.presets import SHARE_PRIVILEGE, PresetSummary
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.state.base import notify, requires, runtime, session, uuid_of
from lxc_dashboard.state.creation.form import STEPS
from lxc_dashboard.state.creation.summary import Change, list_changes
from lxc_dashboard.state.creation.wizard import WizardState, template_detail

NAME_CHARS = 1000


class ProposalState(WizardState):
    """``proposal``: the question, empty without a proposal.

    ``proposal_about``: its author. ``proposal_at``: its last change. ``_proposed``: the content as shown, even if its
    author changed it since. ``_preset_name`` is empty for a link.
    """

    proposal: str = ""
    proposal_about: str = ""
    proposal_at: str = ""
    proposed: list[Change] = []
    _proposed: Filled | None = None
    _preset_name: str = ""

    @requires()
    async def accept_proposal(self) -> Any:
        """Fill in the form with the proposed content."""
        filled, name = self._withdraw()
        if filled is None:
            return None
        mine = await self.get_state(PresetsState)
        if name:
            return await mine._take(name, filled)
        mine.presets_open = False
        await self._take_link(filled)
        self._draw()
        return self._go_there(replace=True)

    @requires()
    async def decline_proposal(self) -> Any:
        self._withdraw()
        return self._go_there(replace=True)

    async def _propose(self, filled: Filled, question: str, about: str, *, name: str = "", at: str = "") -> None:
        template_id = str(filled.template_id or "")
        detail = await template_detail(template_id if template_id in {row.id for row in self.templates} else "")
        offered = await choices(runtime(), session(), filled.form.get("node", ""))
        self.proposed = list_changes(filled, detail, offered)
        self.proposal, self.proposal_about, self.proposal_at = question, about, at
        self._proposed, self._preset_name = filled, name

    def _withdraw(self) -> tuple[Filled | None, str]:
        """Close the proposal. Return its content, and the preset's name."""
        proposed, name = self._proposed, self._preset_name
        self.proposal, self.proposal_about, self.proposal_at, self.proposed = "", "", "", []
        self._proposed, self._preset_name = None, ""
        return proposed, name

    async def _take_link(self, filled: Filled) -> None:
        """Replace this tab's form. The stored draft stays until the next change.

        A link contains no password, so the wizard opens at Configure if one is required.
        """
        self._clear()
        self.edits, self.from_link = "", True
        await self._fill(filled)
        self.reached = len(STEPS) - 1
        self.step = "configure" if self.form["password_mode"] == PasswordMode.GIVEN.value else "review"


@dataclass(frozen=True)
class PresetRow:
    """``about``: the owner and who sees it. ``right``: the privilege by which another user shared it."""

    id: str
    name: str
    about: str
    right: str
    shared: bool
    mine: bool


class PresetsState(WizardState):
    """``preset_error``: the fault of a new preset's name. ``rename_error``: that of the new name for ``renamed``.

    ``may_share``: ``yes``, ``no``, or empty until PVE answers.
    """

    presets: list[PresetRow] = []
    presets_open: bool = False
    preset_error: str = ""
    preset_saves: int = 0
    renamed: str = ""
    rename_error: str = ""
    may_share: str = ""

    @requires()
    async def open_presets(self) -> AsyncIterator[Any]:
        """Show the presets first, then ask PVE whether the user may share one."""
        self.preset_error, self.renamed, self.rename_error = "", "", ""
        await self._list_presets()
        self.presets_open = True
        yield
        self.may_share = "yes" if await presets.sharing_path(runtime(), session()) else "no"

    @requires()
    async def close_presets(self) -> None:
        self.presets_open = False

    @requires()
    async def save_preset(self, data: dict[str, Any]) -> Any:
        """Save the form as a new preset."""
        name, shared = str(data.get("preset_name", ""))[:NAME_CHARS], bool(data.get("preset_shared"))
        try:
            await presets.save(runtime(), session(), name, self._filled(), shared=shared)
        except InvalidInputError as error:
            self.preset_error = error.fields.get("name", error.user_message)
            return None
        self.preset_error = ""
        self.preset_saves += 1
        await self._list_presets()
        return notify(text.PRESET_SAVED.format(name=name.strip()))

    @requires()
    async def use_preset(self, preset_id: str) -> Any:
        """Fill in the user's own preset; propose another's. If it names no template, the selected one stays."""
        preset, filled = await presets.read(runtime(), session(), self._preset(preset_id))
        if filled.template_id is None and self.template_id:
            filled = msgspec.structs.replace(filled, template_id=uuid_of(self.template_id, text.NO_SUCH_TEMPLATE))
        if preset.mine:
            return await self._take(preset.name, filled)
        about = text.PROPOSED_BY.format(owner=preset.owner, privilege=SHARE_PRIVILEGE, path=preset.shared_path)
        question = text.PROPOSED_PRESET.format(name=preset.name)
        proposal = await self.get_state(ProposalState)
        await proposal._propose(filled, question, about, name=preset.name, at=preset.changed_at.isoformat())
        return None

    @requires()
    async def begin_rename(self, preset_id: str) -> None:
        self.renamed, self.rename_error = preset_id, ""

    @requires()
    async def end_rename(self) -> None:
        self.renamed, self.rename_error = "", ""

    @requires()
    async def rename_preset(self, data: dict[str, Any]) -> None:
        name = str(data.get("new_name", ""))[:NAME_CHARS]
        try:
            await presets.rename(runtime(), session(), self._preset(self.renamed), name)
        except InvalidInputError as error:
            self.rename_error = error.fields.get("name", error.user_message)
            return
        self.renamed, self.rename_error = "", ""
        await self._list_presets()

    @requires()
    async def share_preset(self, preset_id: str, shared: bool) -> None:
        await presets.share(runtime(), session(), self._preset(preset_id), shared=shared)
        await self._list_presets()

    @requires()
    async def overwrite_preset(self, preset_id: str) -> Any:
        """Save the form as the content of the user's own preset."""
        await presets.overwrite(runtime(), session(), self._preset(preset_id), self._filled())
        name = next(row.name for row in self.presets if row.id == preset_id)
        return notify(text.PRESET_SAVED.format(name=name))

    @requires()
    async def delete_preset(self, preset_id: str) -> None:
        await presets.delete(runtime(), session(), self._preset(preset_id))
        await self._list_presets()

    async def _take(self, name: str, filled: Filled) -> Any:
        """Fill in the form from a preset. Return the events to follow."""
        await self._fill(filled)
        self.preset_values = {
            field: self.form[field]
            for field in filled.form
            if field in self.initial and self.form[field] != self.initial[field]
        }
        self._mark({})
        self._draw()
        self.presets_open = False
        self._move_to("configure")
        await self._keep_draft()
        return [notify(text.PRESET_USED.format(name=name)), *filter(None, [self._go_there()])]

    async def _list_presets(self) -> None:
        self.presets = [_row(preset) for preset in await presets.list_presets(runtime(), session())]

    def _preset(self, preset_id: str) -> UUID:
        """Raises ``NotFoundError`` for a preset that is not in the shown list."""
        if preset_id not in {row.id for row in self.presets}:
            raise NotFoundError(text.NO_SUCH_PRESET)
        return uuid_of(preset_id, text.NO_SUCH_PRESET)


def _row(preset: PresetSummary) -> PresetRow:
    shared, right = preset.shared_path != "", ""
    if preset.mine:
        about = text.PRESET_SHARED if shared else text.PRESET_MINE
    else:
        about = text.PRESET_OF.format(owner=preset.owner)
        right = text.PRESET_RIGHT.format(privilege=SHARE_PRIVILEGE, path=preset.shared_path)
    return PresetRow(str(preset.id), preset.name, about, right, shared, preset.mine)
