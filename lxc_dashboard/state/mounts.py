"""The wizard's mount points: added, changed, removed."""

from __future__ import annotations

from lxc_dashboard.services.creation.form.mounts import MOUNTS_MAX
from lxc_dashboard.state import mount_rows
from lxc_dashboard.state.base import requires
from lxc_dashboard.state.create_fields import FieldsPart
from lxc_dashboard.state.mount_rows import FIELD, MountRow


class Mounts(FieldsPart, mixin=True):
    """The part of ``CreateState`` that the list of mount points changes. They stand in ``form``; ``mounts`` shows them."""

    @requires()
    async def add_mount(self) -> None:
        """One more, a volume on the storage that holds the disk."""
        rows = self._rows()[:MOUNTS_MAX]
        self._keep_rows([*rows, MountRow(source=self.form.get("storage", ""))])
        self._mended(FIELD)
        await self._keep_draft()

    @requires()
    async def remove_mount(self, at: int) -> None:
        """Takes one out. Faults of the others no longer stand where they stood: the next check names them again."""
        rows, gone = self._rows(), max(at, 0)
        self._keep_rows(rows[:gone] + rows[gone + 1 :])
        self._replaced = mount_rows.closed_up(self._replaced, gone)
        self._changed_here(FIELD)
        self._mark({name: fault for name, fault in self.errors.items() if not name.startswith(f"{FIELD}.")})
        self._mended(FIELD)
        await self._keep_draft()

    @requires()
    async def keep_mount(self, at: int, part: str, value: str | bool) -> None:
        """A part of one was changed."""
        rows = self._rows()
        if not 0 <= at < len(rows):
            return
        rows[at] = mount_rows.changed(rows[at], part, value)
        self._keep_rows(rows)
        self._mended(f"{FIELD}.{at}.{'source' if part == 'from' else part}")
        await self._keep_draft()

    def _rows(self) -> list[MountRow]:
        return mount_rows.rows_of(self.form.get(FIELD, ""))

    def _keep_rows(self, rows: list[MountRow]) -> None:
        self.form[FIELD] = mount_rows.text_of(rows)
