"""The template, and which of its packages and scripts are used; packages beyond those."""

from __future__ import annotations

from typing import Any, Final

from lxc_dashboard.state.base import requires
from lxc_dashboard.state.creation import form as fields
from lxc_dashboard.state.creation.wizard import WizardState

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
