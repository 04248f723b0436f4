"""The wizard's fields: each is kept when it is left, put back to the template's value, or fitted to another node."""

from __future__ import annotations

from typing import Any

from lxc_dashboard.state.base import requires
from lxc_dashboard.state.creation import form as wizard
from lxc_dashboard.state.creation.selection import Selection


class FieldsPart(Selection, mixin=True):
    """The steps template and configure."""

    @requires()
    async def choose(self, template_id: str) -> Any:
        """Takes a template, or none. What was typed and differs from the old template's values stays."""
        await self._take_template(template_id)
        self._sum_up()
        await self._keep_draft()
        return self._there(replace=True)

    @requires()
    async def keep(self, name: str, value: str | bool) -> None:
        """A field was left: its value is kept, and the summary follows."""
        if name in self.initial:
            said = ("on" if value else "") if isinstance(value, bool) else str(value)
            self.form[name] = wizard.bounded(name, said)
            self._mended(name)
            await self._keep_draft()

    @requires()
    async def reset_field(self, name: str) -> None:
        """Back to the template's value."""
        if name in self.initial:
            self.form[name] = self.initial[name]
            self._changed_here(name)
            self._mended(name)
            await self._keep_draft()

    @requires()
    async def change_node(self, node: str) -> None:
        """Offers what the other node has; choices that it does not have fall back to its own."""
        node = wizard.bounded("node", node)
        found = await self._offer(node)
        self.form["node"] = node
        self._changed_here(*self._move_form(found))
        self._sum_up()
        await self._keep_draft()

    def _mended(self, name: str) -> None:
        self._mark({field: fault for field, fault in self.errors.items() if field != name})
        self._sum_up()
