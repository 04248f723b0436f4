"""The step Configure: each field, the mount points, and the next free address of a range."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.mounts import MOUNTS_MAX
from lxc_dashboard.state.base import notify_warning, requires, runtime, session
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation.form import clip
from lxc_dashboard.state.creation.mount_rows import FIELD, MountRow, ShownMount
from lxc_dashboard.state.creation.wizard import WizardPart, WizardState

FAMILIES: Final = {"ipv4": 4, "ipv6": 6}


class FieldsState(WizardState):
    """Handlers of single fields."""

    @requires()
    async def keep(self, name: str, value: str | bool) -> None:
        """Store the value of a field that the user left."""
        if name in self.initial:
            typed = ("on" if value else "") if isinstance(value, bool) else str(value)
            self.form[name] = clip(name, typed)
            self._changed(name)
            await self._keep_draft()

    @requires()
    async def reset_field(self, name: str) -> None:
        """Set a field to the template's value."""
        if name in self.initial:
            self.form[name] = self.initial[name]
            self._rebuild(name)
            self._changed(name)
            await self._keep_draft()

    @requires()
    async def change_node(self, node: str) -> None:
        """Select another node, and replace choices that it does not have."""
        node = clip("node", node)
        offered = await self._offer(node)
        self.form["node"] = node
        self._rebuild(*self._fit_to(offered))
        self._draw()
        await self._keep_draft()


class MountsState(WizardPart, WizardState):
    """The list of mount points. The form holds them as one text; ``mounts`` shows them."""

    mounts: list[ShownMount] = []

    def _on_draw(self) -> None:
        self._set(mounts=mount_rows.shown_rows(self.form.get(FIELD, "")))

    @requires()
    async def add_mount(self) -> None:
        """Add a volume on the storage of the root disk."""
        self._set_rows([*self._rows()[:MOUNTS_MAX], MountRow(source=self.form.get("storage", ""))])
        self._changed(FIELD)
        await self._keep_draft()

    @requires()
    async def remove_mount(self, at: int) -> None:
        """Remove a mount point. Hides the faults of the others until the next check, because their names change."""
        rows, at = self._rows(), max(at, 0)
        self._set_rows(rows[:at] + rows[at + 1 :])
        self._replaced = mount_rows.close_gap(self._replaced, at)
        self._rebuild(FIELD)
        self._mark({name: fault for name, fault in self.errors.items() if not name.startswith(f"{FIELD}.")})
        self._changed(FIELD)
        await self._keep_draft()

    @requires()
    async def keep_mount(self, at: int, part: str, value: str | bool) -> None:
        """Store one part of a mount point."""
        rows = self._rows()
        if not 0 <= at < len(rows):
            return
        rows[at] = mount_rows.change_row(rows[at], part, value)
        self._set_rows(rows)
        self._changed(f"{FIELD}.{at}.{'source' if part == 'from' else part}")
        await self._keep_draft()

    def _rows(self) -> list[MountRow]:
        return mount_rows.parse_rows(self.form.get(FIELD, ""))

    def _set_rows(self, rows: list[MountRow]) -> None:
        self.form[FIELD] = mount_rows.format_rows(rows)


class AddressesState(WizardState):
    """``asking_for``: the family whose next free address is being searched (``ipv4`` or ``ipv6``), or empty."""

    asking_for: str = ""

    @requires(background=True)
    async def take_free_address(self, family: str) -> AsyncIterator[Any]:
        """Fill in the lowest address of the range that no guest is known to use."""
        rt, who = runtime(), session()
        async with self:
            if family not in FAMILIES or self.asking_for:
                return
            typed, gateway = self.form.get(f"{family}_range", ""), self.form.get(f"{family}_gateway", "")
            self.asking_for = family
        field = f"{family}_range"
        try:
            span = addresses.parse_range(typed, version=FAMILIES[family], field=field)
            found = await addresses.next_free(rt, who, span, gateway=gateway, field=field)
        except InvalidInputError as error:
            async with self:
                self._mark({**self.errors, **error.fields})
        else:
            async with self:
                self.form[f"{family}_address"] = found.addresses[0]
                self._rebuild(f"{family}_address")
                self._changed(f"{family}_range")
                self._changed(f"{family}_address")
                await self._keep_draft()
            if found.unasked:
                yield notify_warning(unknown_addresses(found.unasked))
        finally:
            async with self:
                self.asking_for = ""


def unknown_addresses(count: int) -> str:
    """A warning: the addresses of ``count`` containers are unknown."""
    return text.ADDRESS_UNKNOWN["one" if count == 1 else "many"].format(count=f"{count:,}")
