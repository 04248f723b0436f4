"""What all parts of the template editor share: the work, which of its fields are wrong, and that it is kept as it is typed.

Inputs keep what is typed themselves and are told nothing back; ``versions`` counts, by a field's path, how often the server has
set it, and makes the input anew. ``epoch`` says which loading of the page the inputs belong to: what comes from an earlier one
(the server was started again in between) is taken, and shown.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    SessionExpiredError,
)
from lxc_dashboard.services.templates.library import drafts
from lxc_dashboard.services.templates.library.draft import Draft, DraftContent
from lxc_dashboard.services.templates.library.validation import validated
from lxc_dashboard.services.templates.model import Bucket
from lxc_dashboard.state.base import PageState, requires, runtime, session
from lxc_dashboard.state.ids import uuid_of
from lxc_dashboard.state.problems import message_of
from lxc_dashboard.state.templates.editor.work import Work

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

_EDITED: Final = re.compile(r"/templates/([^/]+)/edit/?")
KEEP_AFTER_S: Final = 1.5
PARTS: Final = ("config", "scripts", "packages", "files")


class EditorBase(PageState, mixin=True):
    """``errors`` by path; ``to_mend``: the parts that have some. ``dirty``: the draft says something else than what is saved."""

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
    to_mend: list[str] = []
    counts: dict[str, int] = {}
    part: str = PARTS[0]
    kept_at: str = ""
    keep_trouble: str = ""
    dirty: bool = False
    _work: Work = Work()
    other_window: bool = False
    _leads_to: str = routes.TEMPLATES
    _stored: DraftContent | None = None
    _saved: DraftContent | None = None
    _seen: datetime | None = None
    _waiting: bool = False
    _touched: frozenset[str] = frozenset()
    _refused: dict[str, str] = {}
    _showing_all: bool = False

    async def _open(self) -> None:
        """Opens the user's draft of what the address names, or begins one. What this tab holds is kept first."""
        if not self.other_window:
            await self._keep_now(runtime(), session())
        template_id, copy_of = _asked(str(self.router.url.path), self.router.url.query_parameters)
        draft = await drafts.open_draft(runtime(), session(), template_id, copy_of=copy_of)
        self.is_new, self.is_copy = draft.template_id is None, draft.copy_of is not None
        shown = draft.template_id or draft.copy_of
        self._leads_to = routes.template(shown) if shown else routes.TEMPLATES
        self.begun_from = text.EDITOR_OF.format(number=draft.base_number) if draft.template_id else ""
        self.name = draft.content.name
        other = str(draft.id) != self.draft_id
        self._begin(draft)
        self.resumed = self.dirty and other

    async def _opened(self, epoch: str = "") -> bool:
        """Whether there is a draft to work on. A server that was started again opens it before it takes what was typed.

        What comes after a save or a discard, from the inputs that go away then, is of a draft that is no more.
        """
        if not self.draft_id and (not epoch or epoch != self.epoch):
            await self._open()
        return bool(self.draft_id)

    def _draft(self) -> UUID:
        """The open draft's id. Raises ``NotFoundError`` where none is open: it was saved or discarded a moment ago."""
        return uuid_of(self.draft_id, text.DRAFT_NONE)

    def _begin(self, draft: Draft) -> None:
        """Opens a draft. Where nobody has stored it since this tab did, what the tab has typed stays."""
        same = self.draft_id == str(draft.id) and self._seen == draft.updated_at
        self.epoch = secrets.token_hex(4)
        if not same:
            self._work, self._stored = Work.of(draft.content), draft.content
            self._touched, self._refused, self._showing_all = frozenset(), {}, False
            self.versions, self.keep_trouble, self.other_window = {}, "", False
        if self.draft_id != str(draft.id):
            self.part = PARTS[0]
        self.draft_id, self._seen = str(draft.id), draft.updated_at
        self._saved = Work.of(draft.saved).content() if draft.saved else None
        self._kept(self._work.content(), draft.updated_at)
        self._draw()

    def _kept(self, content: DraftContent, at: datetime) -> None:
        """Whether what is kept differs from what is saved; what does not is as good as not begun."""
        self.dirty = content != self._saved
        self.kept_at = at.isoformat() if self.dirty else ""

    def _draw(self) -> None:
        """From the work to what the page shows of it. Each part adds its own."""
        work = self._work
        self._set(
            form={"name": work.name, **work.config},
            counts={"scripts": len(work.scripts), "packages": len(work.packages), "files": len(work.files)},
        )
        self._mark()

    def _mark(self) -> None:
        """Faults of what was typed; all of them once a save was refused."""
        wrong = self._work.paths(faults_of(self._work.content()))
        shown = {path: why for path, why in wrong.items() if self._showing_all or path in self._touched}
        shown = {**self._refused, **shown}
        self._set(errors=shown, to_mend=parts_of(shown))

    def _faults_in(self, part: str, key: str) -> int:
        """How many fields of a script, file or list are shown as wrong."""
        return sum(path.startswith(f"{part}.{key}.") for path in self.errors)

    def _set(self, **values: Any) -> None:
        """What changed, and nothing else, is sent."""
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)

    def _shown_anew(self, *paths: str) -> None:
        """These inputs are made anew with what the server says."""
        self.versions = {**self.versions, **{path: self.versions.get(path, 0) + 1 for path in paths}}

    def _change(self, work: Work, *touched: str) -> Any:
        """The work is this now. Gives the event that keeps it as the draft: let the handler return it."""
        self._work = work
        self._touched |= set(touched)
        self._refused = {path: why for path, why in self._refused.items() if path not in touched}
        self._draw()
        return type(self).keep

    @requires(background=True)
    async def keep(self) -> None:
        """Stores the draft, a moment after the first of what was typed. What is typed meanwhile goes along."""
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

    async def _keep_now(self, rt: Runtime, who: Session, *, mine: bool = False) -> bool:
        """Whether the draft is kept as it is. Where not, it is said, and tried again with the next change.

        ``mine``: whatever another window of the user has stored meanwhile.
        """
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
        log.warning("draft not kept", error=type(error).__name__, why=str(error))
        self.keep_trouble = message_of(error)
        self.other_window = isinstance(error, ConflictError)
        if isinstance(error, InvalidInputError):
            self._refused |= self._work.paths(error.fields)
            self._mark()


def _asked(path: str, query: Mapping[str, str]) -> tuple[UUID | None, UUID | None]:
    """The template to be edited, or the one to be copied. Raises ``NotFoundError``."""
    if path.rstrip("/") == routes.TEMPLATE_NEW:
        copied = str(query.get("copy", ""))
        return None, uuid_of(copied, text.NO_SUCH_TEMPLATE) if copied else None
    edited = _EDITED.fullmatch(path)
    return uuid_of(edited[1] if edited else "", text.NO_SUCH_TEMPLATE), None


def faults_of(content: DraftContent) -> dict[str, str]:
    """What a save would refuse of what is typed, by the services' names of the fields."""
    contents = {file.sha256: b"" for file in content.files}
    shared = {
        bucket.shared_id: Bucket(bucket.name, PackageManager(bucket.manager), (), bucket.shared_id)
        for bucket in content.buckets
        if bucket.shared_id
    }
    try:
        validated(content, contents, shared)
    except InvalidInputError as error:
        return error.fields
    return {}


def parts_of(errors: dict[str, str]) -> list[str]:
    """Which parts have something to mend, in their order."""
    first = {path.partition(".")[0] for path in errors}
    return [part for part in PARTS if part in first or (part == "config" and "name" in first)]
