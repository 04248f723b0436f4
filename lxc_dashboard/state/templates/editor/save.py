"""Saves a draft as a revision. Shows the changes first, and handles a newer revision of another user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.errors import InvalidInputError, OvertakenError
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.services.templates.library.draft import Draft, Overtaken
from lxc_dashboard.services.templates.model import RevisionSummary
from lxc_dashboard.state.base import notify, notify_warning, requires, runtime, session
from lxc_dashboard.state.templates.editor.page import EditorPart, EditorState
from lxc_dashboard.state.templates.editor.work import faults_of
from lxc_dashboard.state.templates.revisions import DiffBlock, blocks_of
from lxc_dashboard.state.templates.rows import Refused, finding_row

NOTE = "note"


@dataclass(frozen=True)
class OvertakenNote:
    """A newer revision; ``number`` 0: none. ``changes`` are sentences."""

    number: int = 0
    author: str = ""
    at: str = ""
    changes: list[str] = field(default_factory=list)


class SaveState(EditorPart, EditorState):
    """``dialog``: the open dialog (save or compare), or empty. ``found``: findings about the content to save.

    ``other_faults``: errors that no field of the page shows.
    """

    dialog: str = ""
    blocks: list[DiffBlock] = []
    found: list[Refused] = []
    saving: bool = False
    note: str = ""
    note_error: str = ""
    other_faults: list[str] = []
    refusals: int = 0
    overtaken: OvertakenNote = OvertakenNote()

    def _on_begin(self, draft: Draft, *, is_same: bool) -> None:
        del is_same
        self._show_overtaken(draft.overtaken)

    @requires()
    async def ask_save(self) -> AsyncIterator[Any]:
        """Show the changes before a save, or the errors if there are any."""
        if not await self._opened():
            return
        self._refused = {}
        if faults_of(self._work.content()):
            yield await self._refuse({})
            return
        if not await self._keep_now(runtime(), session()):
            return
        try:
            preview = await authoring.preview(runtime(), session(), self._draft())
        except InvalidInputError as error:
            yield await self._refuse(error.fields)
            return
        self.found = [finding_row(finding) for finding in preview.warnings]
        self.blocks = blocks_of(await drafts.difference(runtime(), session(), self._draft()))
        self.name, self.note_error, self.dialog = self._work.name, "", "save"

    @requires()
    async def close_dialog(self) -> None:
        self.dialog = ""

    @requires()
    async def write_note(self, note: str) -> None:
        self.note = note[: authoring.MAX_NOTE_CHARS + 1]

    @requires()
    async def save(self, data: dict[str, Any]) -> AsyncIterator[Any]:
        """Save the revision. If there is a newer revision of another user, show that instead."""
        async for event in self._save(str(data.get(NOTE, "")), None):
            yield event

    @requires()
    async def save_over(self) -> AsyncIterator[Any]:
        """Save the revision over the newer one that the user saw."""
        number = self.overtaken.number
        async for event in self._save(self.note, number):
            yield event

    @requires()
    async def compare(self) -> None:
        """Show the difference from the other user's revision to this draft."""
        if not await self._keep_now(runtime(), session()):
            return
        found = await drafts.difference(runtime(), session(), self._draft(), self.overtaken.number)
        self.blocks, self.dialog = blocks_of(found), "compare"

    @requires()
    async def take_over(self) -> AsyncIterator[Any]:
        """Merge the other user's revision into this draft."""
        if not await self._keep_now(runtime(), session()):
            return
        draft_id = self._draft()
        taken = await authoring.take_over(runtime(), session(), draft_id, seen=self.overtaken.number)
        draft = await drafts.get_draft(runtime(), session(), draft_id)
        following = await self._begin(draft)
        self.dialog = ""
        message = text.TAKEN_OVER.format(number=taken.number)
        if taken.kept:
            yield notify_warning(f"{message}. {text.TAKEN_BUT.format(names=', '.join(taken.kept))}")
        else:
            yield notify(message)
        for event in following:
            yield event

    @requires()
    async def discard(self) -> AsyncIterator[Any]:
        """Discard the draft."""
        await drafts.discard(runtime(), session(), self._draft())
        self._forget()
        yield notify(text.DRAFT_DISCARDED)
        yield rx.redirect(self._leads_to)

    async def _save(self, note: str, over: int | None) -> AsyncIterator[Any]:
        if self.saving or not await self._keep_now(runtime(), session()):
            return
        self.note, self.saving, self.note_error = note[: authoring.MAX_NOTE_CHARS + 1], True, ""
        yield
        try:
            saved = await authoring.save(runtime(), session(), self._draft(), note, over=over)
        except InvalidInputError as error:
            yield await self._refuse(error.fields)
            return
        except OvertakenError as error:
            self.dialog = ""
            self._show_overtaken(Overtaken(error.number, error.author, error.at, error.changes))
            return
        finally:
            self.saving = False
        revision = await catalog.get_revision(session(), runtime().db, saved.id)
        self._forget()
        yield notify(_saved_message(revision.content.name, saved))
        yield rx.redirect(routes.template(revision.template_id))

    async def _refuse(self, faults: Mapping[str, str]) -> Any:
        """Show each error beside its field, and open the first invalid part."""
        found = self._work.paths(faults)
        self.note_error = found.pop(NOTE, "")
        self._showing_all, self._refused = True, found
        self._draw()
        if self.note_error and not self.errors:
            return None
        self.dialog = ""
        self.other_faults = [why for path, why in self.errors.items() if path in {"scripts", "files", "packages"}]
        self.part = next((part for part in self.invalid_parts), self.part)
        self.refusals += 1
        for part in self._parts():
            await part._on_refused()
        return notify_warning(text.SAVE_INVALID.format(count=len(self.errors)))

    def _forget(self) -> None:
        """Clear the draft in this tab, so that leaving the page does not ask for confirmation."""
        self.draft_id, self.dirty, self.dialog, self.note, self._stored = "", False, "", "", None

    def _show_overtaken(self, found: Overtaken | None) -> None:
        if found is None:
            self.overtaken = OvertakenNote()
            return
        changes = [text.in_words_of(change) for change in found.changes]
        self.overtaken = OvertakenNote(found.number, found.author, found.at.isoformat(), changes)


def _saved_message(name: str, saved: RevisionSummary) -> str:
    if saved.unchanged:
        return text.SAVED_NOTHING.format(name=name, number=saved.number)
    return text.SAVED.format(name=name, number=saved.number)
