"""The wizard's presets: what is chosen here kept under a name, for oneself or for all who use the endpoint, and filled in again.

One's own fills the form at once; somebody else's is proposed first.
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
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.presets import SHARE_PRIVILEGE, PresetSummary
from lxc_dashboard.state.base import requires, runtime, said, session
from lxc_dashboard.state.create_proposal import ProposalPart
from lxc_dashboard.state.ids import uuid_of


@dataclass(frozen=True)
class PresetRow:
    """``about``: whose it is, and who sees it. ``right``: of who shared it with the user."""

    id: str
    name: str
    about: str
    right: str
    shared: bool
    mine: bool


class PresetsPart(ProposalPart, mixin=True):
    """``preset_error`` belongs to the name of a new one, ``rename_error`` to that of ``renamed``.

    ``may_share``: ``yes`` offers sharing, ``no`` says what it needs; empty until PVE has answered, which is asked again at each share.
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
        """Shows them. PVE is asked after that: without its answer one's own are there all the same."""
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
        """Keeps what is chosen here under the name that was typed."""
        name, shared = str(data.get("preset_name", ""))[:1000], bool(data.get("preset_shared"))
        try:
            await presets.save(runtime(), session(), name, self._filled(), shared=shared)
        except InvalidInputError as error:
            self.preset_error = error.fields.get("name", error.user_message)
            return None
        self.preset_error = ""
        self.preset_saves += 1
        await self._list_presets()
        return said(text.PRESET_SAVED.format(name=name.strip()))

    @requires()
    async def use_preset(self, preset_id: str) -> Any:
        """Fills in one's own over what is here, and proposes somebody else's. Without a template of its own, the chosen one stays."""
        preset, filled = await presets.read(runtime(), session(), self._preset(preset_id))
        if filled.template_id is None and self.template_id:
            filled = msgspec.structs.replace(filled, template_id=uuid_of(self.template_id, text.NO_SUCH_TEMPLATE))
        if preset.mine:
            return await self._take_preset(preset.name, filled)
        about = text.PROPOSED_BY.format(owner=preset.owner, privilege=SHARE_PRIVILEGE, path=preset.shared_path)
        question = text.PROPOSED_PRESET.format(name=preset.name)
        await self._propose(filled, question, about, name=preset.name, at=preset.changed_at.isoformat())
        return None

    @requires()
    async def begin_rename(self, preset_id: str) -> None:
        self.renamed, self.rename_error = preset_id, ""

    @requires()
    async def end_rename(self) -> None:
        self.renamed, self.rename_error = "", ""

    @requires()
    async def rename_preset(self, data: dict[str, Any]) -> None:
        """The one that is being renamed."""
        name = str(data.get("new_name", ""))[:1000]
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
        """Has one's own preset hold what is chosen here."""
        await presets.overwrite(runtime(), session(), self._preset(preset_id), self._filled())
        name = next(row.name for row in self.presets if row.id == preset_id)
        return said(text.PRESET_SAVED.format(name=name))

    @requires()
    async def delete_preset(self, preset_id: str) -> None:
        await presets.delete(runtime(), session(), self._preset(preset_id))
        await self._list_presets()

    async def _take_preset(self, name: str, filled: Filled) -> Any:
        await self._fill(filled)
        self.preset_values = {
            field: self.form[field]
            for field in filled.form
            if field in self.initial and self.form[field] != self.initial[field]
        }
        self._mark({})
        self._sum_up()
        self.presets_open = False
        self._move_to("configure")
        await self._keep_draft()
        return [said(text.PRESET_USED.format(name=name)), *filter(None, [self._there()])]

    async def _list_presets(self) -> None:
        self.presets = [_row(preset) for preset in await presets.list_presets(runtime(), session())]

    def _preset(self, preset_id: str) -> UUID:
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
