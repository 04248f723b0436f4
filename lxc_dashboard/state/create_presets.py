"""The wizard's presets: what is chosen here kept under a name, for oneself or for all who use the endpoint, and filled in again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.services.creation import presets
from lxc_dashboard.services.creation.presets import PresetSummary
from lxc_dashboard.state.base import requires, runtime, said, session
from lxc_dashboard.state.create_review import ReviewPart
from lxc_dashboard.state.ids import uuid_of


@dataclass(frozen=True)
class PresetRow:
    """``about``: whose it is, and who sees it."""

    id: str
    name: str
    about: str
    shared: bool
    mine: bool


class PresetsPart(ReviewPart, mixin=True):
    """``preset_error`` belongs to the name of a new one, ``rename_error`` to that of ``renamed``."""

    presets: list[PresetRow] = []
    presets_open: bool = False
    preset_error: str = ""
    preset_saves: int = 0
    renamed: str = ""
    rename_error: str = ""

    @requires()
    async def open_presets(self) -> None:
        self.preset_error, self.renamed, self.rename_error = "", "", ""
        await self._list_presets()
        self.presets_open = True

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
        """Fills it in over what is here; without a template of its own, the one that is chosen stays."""
        name, filled = await presets.read(runtime(), session(), self._preset(preset_id))
        if filled.template_id is None and self.template_id:
            filled = msgspec.structs.replace(filled, template_id=uuid_of(self.template_id, text.NO_SUCH_TEMPLATE))
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

    async def _list_presets(self) -> None:
        self.presets = [_row(preset) for preset in await presets.list_presets(runtime(), session())]

    def _preset(self, preset_id: str) -> UUID:
        if preset_id not in {row.id for row in self.presets}:
            raise NotFoundError(text.NO_SUCH_PRESET)
        return uuid_of(preset_id, text.NO_SUCH_PRESET)


def _row(preset: PresetSummary) -> PresetRow:
    if preset.mine:
        about = text.PRESET_SHARED if preset.shared else text.PRESET_MINE
    else:
        about = text.PRESET_OF.format(owner=preset.owner)
    return PresetRow(str(preset.id), preset.name, about, preset.shared, preset.mine)
