"""What the wizard takes of a template: its packages and scripts, and packages beyond those."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.state.base import requires
from lxc_dashboard.state.creation import form as wizard
from lxc_dashboard.state.creation.wizard import WizardBase

EXTRA_MANAGERS: Final = ("apt", "apk", "dnf", "npm", "pip")


class Selection(WizardBase, mixin=True):
    """The steps packages and scripts."""

    extra_manager: str = EXTRA_MANAGERS[0]

    @requires()
    async def toggle_package(self, key: str) -> None:
        self.packages = wizard.switched(self.packages, key, "key")
        await self._keep_draft()

    @requires()
    async def toggle_script(self, name: str) -> None:
        self.scripts = wizard.switched(self.scripts, name, "name")
        await self._keep_draft()

    @requires()
    async def move_script(self, name: str, by: int) -> None:
        """Up (-1) or down (1) by one place."""
        self.scripts = wizard.moved(self.scripts, name, 1 if by > 0 else -1)
        await self._keep_draft()

    @requires()
    async def write_extra(self, spec: str) -> None:
        self.extra_spec = spec[:255]

    @requires()
    async def choose_extra_manager(self, manager: str) -> None:
        self.extra_manager = manager if manager in EXTRA_MANAGERS else EXTRA_MANAGERS[0]

    @requires()
    async def add_extra(self) -> None:
        """Adds the package that was typed, once."""
        self._add_typed()
        await self._keep_draft()

    @requires()
    async def remove_extra(self, manager: str, spec: str) -> None:
        self.extras = [row for row in self.extras if (row.manager, row.spec) != (manager, spec)]
        await self._keep_draft()

    def _add_typed(self) -> None:
        self.extras = wizard.with_extras(self.extras, self.extra_manager, self.extra_spec)
        self.extra_spec = ""
