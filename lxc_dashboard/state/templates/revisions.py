"""A template's revisions: the list, the difference between two revisions in blocks, and restoring an older one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.errors import DashboardError, OvertakenError, SessionExpiredError
from lxc_dashboard.services.templates.library import authoring, catalog, revisions
from lxc_dashboard.services.templates.library.diff import BucketChange, Difference, FieldChange, FileChange
from lxc_dashboard.services.templates.library.line_diff import Line, LineKind, TextDiff
from lxc_dashboard.services.templates.model import RevisionSummary
from lxc_dashboard.state.base import PageState, notify, requires, runtime, session
from lxc_dashboard.state.problems import message_of
from lxc_dashboard.state.templates.detail import Address, number_of

LINES_SHOWN: Final = 600
VALUE_CHARS: Final = 200
_SIGNS: Final = {LineKind.ADDED: "+", LineKind.REMOVED: "-", LineKind.SAME: " ", LineKind.GAP: "…"}


@dataclass(frozen=True)
class DiffLine:
    """``kind``: same, added, removed or gap."""

    kind: str
    sign: str
    text: str


@dataclass(frozen=True)
class DiffBlock:
    """A changed part. ``notes`` are sentences, ``lines`` are the lines of its text."""

    title: str
    kind: str
    notes: list[str] = field(default_factory=list)
    lines: list[DiffLine] = field(default_factory=list)


def blocks_of(difference: Difference) -> list[DiffBlock]:
    """The blocks of a difference, with at most ``LINES_SHOWN`` lines in all."""
    room = LINES_SHOWN
    blocks = []
    for block, shown in _all(difference):
        lines = [_line(line) for line in shown.lines[:room]]
        room -= len(lines)
        cut = [text.DIFF_CUT] if shown.cut or len(lines) < len(shown.lines) else []
        blocks.append(DiffBlock(block.title, block.kind, [*block.notes, *cut], lines))
    return blocks


def _all(difference: Difference) -> Iterator[tuple[DiffBlock, TextDiff]]:
    nothing = TextDiff()
    if difference.config:
        changed = text.DIFF_KINDS["changed"]
        yield DiffBlock(text.CONFIG, changed, [_config_note(change) for change in difference.config]), nothing
    for script in difference.scripts:
        yield DiffBlock(script.name, text.DIFF_KINDS[script.kind], _notes(script.fields)), script.text
    for bucket in difference.packages:
        yield DiffBlock(f"{bucket.name}.{bucket.manager}", text.DIFF_KINDS[bucket.kind]), _packages(bucket)
    for file in difference.files:
        yield DiffBlock(file.name, text.DIFF_KINDS[file.kind], [*_notes(file.fields), *_sizes(file)]), file.text


def _config_note(change: FieldChange) -> str:
    label = text.CONFIG_FIELDS[change.field][0] if change.field in text.CONFIG_FIELDS else change.field
    return f"{label}: {_short(change.old)} → {_short(change.new)}"


def _notes(changes: Iterable[FieldChange]) -> list[str]:
    return [f"{change.field}: {_short(change.old)} → {_short(change.new)}" for change in changes]


def _sizes(file: FileChange) -> list[str]:
    changed = file.binary and file.old_sha256 != file.new_sha256
    return [text.DIFF_BINARY.format(old=file.old_size, new=file.new_size)] if changed else []


def _packages(bucket: BucketChange) -> TextDiff:
    """Added, removed and changed packages as lines."""
    removed = (Line(LineKind.REMOVED, 0, 0, spec) for spec in bucket.removed)
    added = (Line(LineKind.ADDED, 0, 0, spec) for spec in bucket.added)
    changed = (Line(LineKind.SAME, 0, 0, f"{spec} ({text.DIFF_KINDS['changed']})") for spec in bucket.changed)
    return TextDiff((*removed, *added, *changed))


def _line(line: Line) -> DiffLine:
    return DiffLine(line.kind.value, _SIGNS[line.kind], line.text)


def _short(value: str) -> str:
    shown = value if len(value) <= VALUE_CHARS else f"{value[:VALUE_CHARS]}…"
    return shown or text.NOTHING


NOTE_CHARS: Final = 2000


@dataclass(frozen=True)
class RevisionRow:
    """``change_href``: what the revision changed; ``compare_href``: what changed since. Empty without a revision to compare."""

    number: int
    author: str
    note: str
    at: str
    href: str
    change_href: str
    compare_href: str


class TemplateRevisionsState(PageState, rx.State):
    """``old``, ``new``: the compared revisions; empty if none. ``restoring``: the revision in the dialog; 0: none.

    ``refusal``: why it was not restored. ``acting``: the restore is running.
    """

    rows: list[RevisionRow] = []
    numbers: list[str] = []
    current: int = 0
    old: str = ""
    new: str = ""
    title: str = ""
    blocks: list[DiffBlock] = []
    restoring: int = 0
    refusal: str = ""
    acting: bool = False
    _template_id: UUID | None = None

    @requires()
    async def load(self) -> None:
        """Fill the tab if it is open."""
        query = self.router.url.query_parameters
        if str(query.get("tab", "")) != "revisions":
            return
        async with self._filling():
            address = Address.of(str(self.router.url.path), query)
            self._template_id = address.template_id
            await self._list(address.template_id)
            await self._compare(query)
            self._show()

    @requires()
    async def compare(self, side: str, number: str) -> Any:
        """Choose one of the compared revisions. The other defaults to the current one."""
        chosen = number_of(number)
        if self._template_id is None or chosen is None:
            return None
        old, new = self.old or str(self.current), self.new or str(self.current)
        pair: dict[str, str | int] = {"old": chosen, "new": new} if side == "old" else {"old": old, "new": chosen}
        return rx.redirect(routes.template_tab(self._template_id, "revisions", **pair))

    @requires()
    async def swap(self) -> Any:
        """Swap the compared revisions."""
        if self._template_id is None or not (self.old and self.new):
            return None
        return rx.redirect(routes.template_tab(self._template_id, "revisions", old=self.new, new=self.old))

    @requires()
    async def ask_restore(self, number: int) -> None:
        """Open the dialog to restore revision ``number``; 0 closes it."""
        self.restoring, self.refusal = number if str(number) in self.numbers else 0, ""

    @requires()
    async def restore(self, form: dict[str, Any]) -> AsyncIterator[Any]:
        """Restore an older revision as a new one. The dialog shows a refusal beside the note."""
        number, template_id = self.restoring, self._template_id
        if template_id is None or not number:
            return
        self.acting, self.refusal = True, ""
        yield
        try:
            made = await self._restore(template_id, number, str(form.get("note", "")))
        finally:
            self.acting = False
        if made:
            self.restoring = 0
            yield notify(text.RESTORED.format(number=number, made=made))
            yield rx.redirect(routes.template_tab(template_id, "revisions", old=self.current, new=made))

    async def _restore(self, template_id: UUID, number: int, note: str) -> int:
        """Restore a revision. Return the number of the new revision; 0 if it was refused."""
        note = note.strip()[:NOTE_CHARS] or text.RESTORED_FROM.format(number=number)
        try:
            made = await authoring.restore(runtime(), session(), template_id, number, note, expected=self.current)
        except SessionExpiredError:
            raise
        except OvertakenError as error:
            self.refusal = message_of(error)
            await self._list(template_id)
            return 0
        except DashboardError as error:
            self.refusal = message_of(error)
            return 0
        return made.number

    async def _list(self, template_id: UUID) -> None:
        detail = await catalog.get_template(session(), runtime().db, template_id)
        self.current = detail.revisions[0].number
        self.rows = revision_rows(template_id, detail.revisions)
        self.numbers = [str(row.number) for row in self.rows]

    async def _compare(self, query: Mapping[str, Any]) -> None:
        old, new = number_of(query.get("old", "")), number_of(query.get("new", ""))
        self.old, self.new = str(old or ""), str(new or "")
        self.blocks, self.title = [], ""
        if self._template_id is None or old is None or new is None:
            return
        found = await revisions.difference(session(), runtime().db, self._template_id, old, new)
        self.blocks = blocks_of(found)
        self.title = (text.COMPARED_SAME if found.empty else text.COMPARED).format(old=old, new=new)


def revision_rows(template_id: UUID, revisions: Sequence[RevisionSummary]) -> list[RevisionRow]:
    """Rows of ``revisions``, newest first, each linked to its predecessor."""
    newest = revisions[0].number
    before = [*(revision.number for revision in revisions[1:]), 0]
    return [
        RevisionRow(
            number=revision.number,
            author=revision.author or text.BY_SOURCE_ITSELF,
            note=revision.note,
            at=revision.created_at.isoformat(),
            href=routes.template_tab(template_id, "config", revision=revision.number),
            change_href=_pair(template_id, older, revision.number),
            compare_href=_pair(template_id, revision.number, newest),
        )
        for revision, older in zip(revisions, before, strict=True)
    ]


def _pair(template_id: UUID, old: int, new: int) -> str:
    return routes.template_tab(template_id, "revisions", old=old, new=new) if old and old != new else ""
