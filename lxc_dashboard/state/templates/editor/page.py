"""The page of the template editor: shows the user's draft and its invalid fields, and stores the draft.

``EditorState`` holds the draft. Scripts, package lists, files and the dialogs of a save are its substates (``EditorPart``),
each in its own module. All of them work on one ``work.Work``.

Input fields hold their own text, and the server does not echo it. ``versions`` counts for each field how often the server
has set it. A new count rebuilds the input field. ``epoch`` identifies one loading of the page. Text with an earlier epoch
was typed before a restart of the server. It is stored, and shown again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import reflex as rx
import structlog

from lxc_dashboard import routes, text
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    SessionExpiredError,
)
from lxc_dashboard.services.templates.library import drafts
from lxc_dashboard.services.templates.library.draft import Draft, DraftContent
from lxc_dashboard.state.base import PageState, requires, runtime, session, uuid_of
from lxc_dashboard.state.problems import message_of
from lxc_dashboard.state.templates.editor.work import Work, faults_of, list_faults

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

_EDITED: Final = re.compile(r"/templates/([^/]+)/edit/?")
KEEP_AFTER_S: Final = 1.5
PARTS: Final = ("config", "scripts", "packages", "files")
TEXT_FIELDS: Final = frozenset({("scripts", "content"), ("files", "content")})


class EditorPart:
    """Hooks that the editor calls in each of its parts. A part overrides those that it needs.

    A part is a substate: it reads and sets the editor's vars like its own, and does not know other parts.
    """

    def _on_begin(self, draft: Draft, *, is_same: bool) -> None:
        """React to an opened draft. ``is_same``: this tab had it open, and no other window stored it since."""

    async def _on_open(self) -> list[Any]:
        """Load the part's data for the opened draft. Return events to run next."""
        return []

    def _on_draw(self) -> None:
        """Set the part's vars from the work."""

    async def _on_keep(self, _rt: Runtime, _who: Session) -> bool:
        """Store in the draft the data that only the part has. If it fails, show an error and return False."""
        return True

    async def _on_text(self, _part: str, _epoch: str, _key: str, _written: str) -> Any:
        """Store a long text that the browser sent when the user left the page, if it belongs to this part."""
        return None

    async def _on_reopen(self, _script: str, _file: str) -> list[Any]:
        """Open the script or file that was open before the server restarted, by name. Return events to run next."""
        return []

    async def _on_refused(self) -> None:
        """Open the first invalid entry, because a save was refused."""


class EditorState(PageState, rx.State):
    """``/templates/new`` and ``/templates/<id>/edit``.

    ``errors``: by path of the field; ``invalid_parts``: the parts with errors. ``dirty``: the draft differs from the saved
    template.
    """

    draft_id: str = ""
    name: str = ""
    begun_from: str = ""
    is_new: bool = True
    is_copy: bool = False
    resumed: bool = False
    epoch: str = ""
    versions: dict[str, int] = {}
    form: dict[str, str] = {}
    errors: dict[str, str] = {}
    invalid_parts: list[str] = []
    counts: dict[str, int] = {}
    part: str = PARTS[0]
    kept_at: str = ""
    keep_trouble: str = ""
    dirty: bool = False
    other_window: bool = False
    _work: Work = Work()
    _leads_to: str = routes.TEMPLATES
    _stored: DraftContent | None = None
    _saved: DraftContent | None = None
    _seen: datetime | None = None
    _waiting: bool = False
    _touched: frozenset[str] = frozenset()
    _refused: dict[str, str] = {}
    _showing_all: bool = False

    # Events

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Open the user's draft, or begin one."""
        async with self._filling():
            following = await self._open()
            self._show()
            for event in following:
                yield event
            yield EditorState.keep

    @requires()
    async def typed(self, epoch: str, path: str, value: str) -> AsyncIterator[Any]:
        """Set one field. Also receives unsent texts of scripts and files when the user leaves the page."""
        if not await self._opened(epoch):
            return
        part, _, rest = path.partition(".")
        key, _, name = rest.partition(".")
        if (part, name) in TEXT_FIELDS:
            for each in self._parts():
                yield await each._on_text(part, epoch, key, value)
        elif self._work.has(path):
            keep = self._change(self._work.typed(path, str(value)), path)
            if epoch != self.epoch:
                self._shown_anew(path)
                self._draw()
            yield keep

    @requires()
    async def go(self, part: str) -> None:
        """Show a part of the template."""
        if part in PARTS:
            self.part = part

    @requires()
    async def reopen(self, part: str, script: str, file: str) -> Any:
        """Open the part, script and file that this tab had open before the server restarted, by name."""
        await self.go(part)
        return [event for each in self._parts() for event in await each._on_reopen(script, file)]

    @requires(background=True)
    async def keep(self) -> None:
        """Store the draft ``KEEP_AFTER_S`` after the first change, with all changes until then."""
        rt, who = runtime(), session()
        async with self:
            if self._waiting:
                return
            self._waiting = True
        try:
            await asyncio.sleep(KEEP_AFTER_S)
        finally:
            async with self:
                self._waiting = False
        async with self:
            if not self.other_window:
                await self._keep_now(rt, who)

    @requires()
    async def keep_again(self) -> None:
        """Retry storing the draft."""
        await self._keep_now(runtime(), session())

    @requires()
    async def keep_mine(self) -> None:
        """Overwrite the draft of another window with the draft of this window."""
        await self._keep_now(runtime(), session(), mine=True)

    @requires()
    async def take_other(self) -> AsyncIterator[Any]:
        """Show the draft that another window stored."""
        self._seen = None
        yield EditorState.load

    # Opening

    async def _open(self) -> list[Any]:
        """Open or begin the user's draft for the address. Stores this tab's text first. Return events to run next."""
        if not self.other_window:
            await self._keep_now(runtime(), session())
        template_id, copy_of = _address(str(self.router.url.path), self.router.url.query_parameters)
        draft = await drafts.open_draft(runtime(), session(), template_id, copy_of=copy_of)
        self.is_new, self.is_copy = draft.template_id is None, draft.copy_of is not None
        shown = draft.template_id or draft.copy_of
        self._leads_to = routes.template(shown) if shown else routes.TEMPLATES
        self.begun_from = text.EDITOR_OF.format(number=draft.base_number) if draft.template_id else ""
        self.name = draft.content.name
        is_other = str(draft.id) != self.draft_id
        following = await self._begin(draft)
        self.resumed = self.dirty and is_other
        return following

    async def _opened(self, epoch: str = "") -> bool:
        """Return whether a draft is open. After a restart of the server, open it first.

        Input fields that disappear after a save or a discard still send their text. It belongs to no draft.
        """
        if not self.draft_id and (not epoch or epoch != self.epoch):
            await self._open()
        return bool(self.draft_id)

    def _draft(self) -> UUID:
        """The open draft's id. Raises ``NotFoundError`` if the draft was just saved or discarded."""
        return uuid_of(self.draft_id, text.DRAFT_NONE)

    async def _begin(self, draft: Draft) -> list[Any]:
        """Show a draft. The tab's text stays if no other window stored the draft since. Return events to run next."""
        is_same = self.draft_id == str(draft.id) and self._seen == draft.updated_at
        self.epoch = secrets.token_hex(4)
        if not is_same:
            self._work, self._stored = Work.of(draft.content), draft.content
            self._touched, self._refused, self._showing_all = frozenset(), {}, False
            self.versions, self.keep_trouble, self.other_window = {}, "", False
        if self.draft_id != str(draft.id):
            self.part = PARTS[0]
        self.draft_id, self._seen = str(draft.id), draft.updated_at
        self._saved = Work.of(draft.saved).content() if draft.saved else None
        self._kept(self._work.content(), draft.updated_at)
        for part in self._parts():
            part._on_begin(draft, is_same=is_same)
        self._draw()
        following = [event for part in self._parts() for event in await part._on_open()]
        self._draw()
        return following

    def _parts(self) -> list[EditorPart]:
        """The parts of the editor. ``self`` is the editor or one of its parts."""
        editor = self.parent_state if isinstance(self, EditorPart) else self
        return [part for part in editor.substates.values() if isinstance(part, EditorPart)] if editor else []

    # Showing

    def _draw(self) -> None:
        """Set the vars of the editor and its parts from the work."""
        work = self._work
        self._set(
            form={"name": work.name, **work.config},
            counts={"scripts": len(work.scripts), "packages": len(work.packages), "files": len(work.files)},
        )
        self._mark()
        for part in self._parts():
            part._on_draw()

    def _mark(self) -> None:
        """Show the errors of touched fields, or of all fields after a refused save."""
        faults = self._work.paths(faults_of(self._work.content()))
        shown = {path: why for path, why in faults.items() if self._showing_all or path in self._touched}
        shown = {**self._refused, **shown}
        for path in shown:
            if path.startswith("packages."):
                shown[path] = list_faults(self._work, path.split(".")[1]) or shown[path]
        self._set(errors=shown, invalid_parts=parts_of(shown))

    def _faults_in(self, part: str, key: str) -> int:
        """The number of fields of a script, file or list that are shown as invalid."""
        return sum(path.startswith(f"{part}.{key}.") for path in self.errors)

    def _set(self, **values: Any) -> None:
        """Set the vars that differ, so that only these are sent."""
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)

    def _shown_anew(self, *paths: str) -> None:
        """Rebuild these input fields with the server's values."""
        self.versions = {**self.versions, **{path: self.versions.get(path, 0) + 1 for path in paths}}

    # Keeping

    def _change(self, work: Work, *touched: str) -> Any:
        """Replace the work. The handler must return the event, which stores the draft."""
        self._work = work
        self._touched |= set(touched)
        self._refused = {path: why for path, why in self._refused.items() if path not in touched}
        self._draw()
        return EditorState.keep

    def _kept(self, content: DraftContent, at: datetime) -> None:
        """Show when the draft was stored. A draft that equals the saved template counts as not begun."""
        self.dirty = content != self._saved
        self.kept_at = at.isoformat() if self.dirty else ""

    async def _keep_now(self, rt: Runtime, who: Session, *, mine: bool = False) -> bool:
        """Store the draft. If it fails, show why and return False; the next change retries.

        ``mine``: overwrite the draft that another window of the user stored.
        """
        if self.draft_id:
            for part in self._parts():
                if not await part._on_keep(rt, who):
                    return False
        content = self._work.content()
        if not self.draft_id or (content == self._stored and not mine):
            return True
        try:
            kept = await drafts.store(rt, who, self._draft(), content, seen=None if mine else self._seen)
        except SessionExpiredError:
            raise
        except DashboardError as error:
            self._not_kept(error)
            return False
        self._stored, self._seen = content, kept
        self.keep_trouble, self.other_window = "", False
        self._kept(content, kept)
        return True

    def _not_kept(self, error: DashboardError) -> None:
        log.warning("draft not stored", error=type(error).__name__, why=str(error))
        self.keep_trouble = message_of(error)
        self.other_window = isinstance(error, ConflictError)
        if isinstance(error, InvalidInputError):
            self._refused |= self._work.paths(error.fields)
            self._mark()


def _address(path: str, query: Mapping[str, str]) -> tuple[UUID | None, UUID | None]:
    """The template to edit, or the one to copy. Raises ``NotFoundError``."""
    if path.rstrip("/") == routes.TEMPLATE_NEW:
        copied = str(query.get("copy", ""))
        return None, uuid_of(copied, text.NO_SUCH_TEMPLATE) if copied else None
    edited = _EDITED.fullmatch(path)
    return uuid_of(edited[1] if edited else "", text.NO_SUCH_TEMPLATE), None


def parts_of(errors: Mapping[str, str]) -> list[str]:
    """The parts with invalid fields, in the order of ``PARTS``."""
    first = {path.partition(".")[0] for path in errors}
    return [part for part in PARTS if part in first or (part == "config" and "name" in first)]
