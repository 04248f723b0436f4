"""The template editor. What is typed is kept as the user's draft within seconds; a save makes a revision of it.

The parts stand in modules of their own: ``editor_scripts``, ``editor_packages``, ``editor_files``, and ``editor_save`` for what
leads from the draft to a revision. All of them work on one ``editor_work.Work``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from lxc_dashboard.state.base import PageState, requires, runtime, session
from lxc_dashboard.state.templates.editor.base import PARTS
from lxc_dashboard.state.templates.editor.save import SavePart


class EditorState(SavePart, PageState, rx.State):
    """``/templates/new`` and ``/templates/<id>/edit``."""

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Opens the user's draft, or begins one."""
        async with self._filling():
            await self._open()
            self._show()
            yield EditorState.check_script
            yield EditorState.keep

    @requires()
    async def typed(self, epoch: str, path: str, value: str) -> AsyncIterator[Any]:
        """A field says this now. The texts of scripts and files come so where the page was left before they were told."""
        if not await self._opened(epoch):
            return
        part, _, rest = path.partition(".")
        key, _, name = rest.partition(".")
        if (part, name) == ("scripts", "content"):
            yield await self._write_script(epoch, key, "", value)
        elif (part, name) == ("files", "content"):
            yield await self._write_file(epoch, key, "", value)
        elif self._work.has(path):
            keep = self._change(self._work.typed(path, str(value)), path)
            if epoch != self.epoch:
                self._shown_anew(path)
                self._draw()
            yield keep

    @requires()
    async def go(self, part: str) -> None:
        """Shows a part of the template."""
        if part in PARTS:
            self.part = part

    @requires()
    async def reopen(self, part: str, script: str, file: str) -> Any:
        """What this tab had open, by their names, before the server was started again."""
        await self.go(part)
        found = self._work.script("", script)
        if found is not None and found.key != self.script.key:
            self._open_script(found)
        kept = self._work.file("", file)
        if kept is not None and kept.key != self.file.key:
            await self._open_file(kept)
        return EditorState.check_script

    @requires()
    async def keep_again(self) -> None:
        """Tries to keep the draft once more."""
        await self._keep_now(runtime(), session())

    @requires()
    async def keep_mine(self) -> None:
        """Keeps what this window holds, whatever another one has stored."""
        await self._keep_now(runtime(), session(), mine=True)

    @requires()
    async def take_other(self) -> AsyncIterator[Any]:
        """Shows what another window has stored instead of what this one holds."""
        self._seen = None
        yield EditorState.load
