"""One template in its tabs. The address holds the tab, the revision and the chosen item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.templates.library import authoring, catalog
from lxc_dashboard.services.templates.library.drafts import OWN_KINDS
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state import base
from lxc_dashboard.state.base import PageState, notify, requires, runtime, session
from lxc_dashboard.state.ids import id_in, uuid_of
from lxc_dashboard.state.templates.detail_rows import (
    BucketRow,
    ConfigRow,
    FileRow,
    Place,
    ScriptRow,
    Shown,
    bucket_rows,
    config_rows,
    file_rows,
    script_rows,
    shown_file,
    shown_script,
)
from lxc_dashboard.state.templates.rows import Mark, Refused, finding_row, row_of

MAX_NUMBER_DIGITS: Final = 9
# Marks that are explained above the tabs.
TROUBLES: Final = frozenset({text.REFUSED_MARK, text.MISSING_MARK, text.DELETED_MARK})


@dataclass(frozen=True)
class Tab:
    """``count`` is empty if the tab is no list."""

    name: str
    label: str
    count: str
    href: str


@dataclass(frozen=True)
class Address:
    """What the address of the page names. ``number`` None: the current revision."""

    template_id: UUID
    tab: str
    item: str
    number: int | None

    @classmethod
    def of(cls, path: str, query: Mapping[str, Any]) -> Address:
        """Raises ``NotFoundError`` if the address names no template."""
        template_id = uuid_of(id_in(path, query, "template_id"), text.NO_SUCH_TEMPLATE)
        tab = str(query.get("tab", ""))
        return cls(
            template_id,
            tab if tab in text.TEMPLATE_TABS else next(iter(text.TEMPLATE_TABS)),
            str(query.get("item", "")),
            number_of(query.get("revision", "")),
        )


def number_of(value: Any) -> int | None:
    """Parse a revision's number in an address; None if it is none."""
    given = str(value)
    fits = given.isascii() and given.isdigit() and len(given) <= MAX_NUMBER_DIGITS
    return int(given) if fits and int(given) else None


class TemplateState(PageState, rx.State):
    """``number``: the revision shown; ``current``: the template's current one. ``owned``: it is edited in the dashboard."""

    template_id: str = ""
    revision_id: str = ""
    name: str = ""
    description: str = ""
    source: str = ""
    owned: bool = False
    deleted: bool = False
    number: int = 0
    current: int = 0
    marks: list[Mark] = []
    tags: list[str] = []
    troubles: list[str] = []
    create_href: str = ""
    edit_href: str = ""
    delete_title: str = ""
    delete_ask: str = ""
    current_href: str = ""
    compare_href: str = ""
    tab: str = ""
    tabs: list[Tab] = []
    config: list[ConfigRow] = []
    findings: list[Refused] = []
    scripts: list[ScriptRow] = []
    buckets: list[BucketRow] = []
    files: list[FileRow] = []
    shown: Shown = Shown()
    _place: Place = Place("")

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Show what the address names; for another template, show the page's outline first."""
        async with self._filling():
            address = Address.of(str(self.router.url.path), self.router.url.query_parameters)
            if str(address.template_id) != self.template_id:
                self.phase, self.name = base.LOADING, ""
                yield
            detail = await catalog.get_template(session(), runtime().db, address.template_id, address.number)
            self._fill(detail, address)
            await self._choose(detail, address)
            self.tab = address.tab
            self._show()

    @requires()
    async def delete(self, typed: str) -> AsyncIterator[Any]:
        """Delete the template after its name was typed; the service checks the privilege."""
        deleted = await authoring.delete(
            runtime(), session(), uuid_of(self.template_id, text.NO_SUCH_TEMPLATE), name=typed
        )
        yield notify((text.DELETED_KEPT if deleted.kept else text.DELETED_TEMPLATE).format(name=deleted.name))
        yield rx.redirect(routes.TEMPLATES)

    def _fill(self, detail: TemplateDetail, address: Address) -> None:
        summary = detail.summary
        row = row_of(summary)
        self.template_id, self.revision_id = row.id, str(summary.revision_id)
        self.name, self.description, self.source = row.name, summary.description, row.source
        self.owned = summary.source_kind in OWN_KINDS
        self.deleted = self.owned and summary.missing_since is not None
        self.create_href = "" if self.deleted else row.create_href
        self.edit_href = routes.edit_template(row.id) if self.owned else routes.new_template(row.id)
        self.delete_title = text.DELETE_TEMPLATE_TITLE.format(name=row.name)
        self.delete_ask = text.DELETE_TEMPLATE_ASK.format(name=row.name)
        self.number, self.current = summary.revision_number, max(revision.number for revision in detail.revisions)
        self.marks, self.tags = row.marks, row.tags
        self.troubles = [mark.detail for mark in row.marks if mark.word in TROUBLES]
        self._fill_links(detail, address)
        self._fill_parts(detail)

    def _fill_links(self, detail: TemplateDetail, address: Address) -> None:
        self._place = Place(self.template_id, 0 if self.number == self.current else self.number)
        counts = {
            "scripts": len(detail.scripts),
            "packages": sum(len(bucket.packages) for bucket in detail.buckets),
            "files": len(detail.files),
            "revisions": len(detail.revisions),
        }
        self.tabs = [
            Tab(name, label, str(counts[name]) if name in counts else "", self._place.tab(name))
            for name, label in text.TEMPLATE_TABS.items()
        ]
        now = Place(self.template_id)
        self.current_href = now.tab(address.tab)
        self.compare_href = now.tab("revisions", old=self.number, new=self.current)

    def _fill_parts(self, detail: TemplateDetail) -> None:
        self.config = config_rows(detail.summary.config)
        self.findings = [finding_row(finding) for finding in detail.warnings]
        self.scripts = script_rows(detail.scripts, self._place)
        self.buckets = bucket_rows(detail.buckets)
        self.files = file_rows(detail.files, self._place)

    async def _choose(self, detail: TemplateDetail, address: Address) -> None:
        """Show the script or file that the address names, or the first one."""
        self.shown = Shown()
        if address.tab == "scripts" and detail.scripts:
            script = next((script for script in detail.scripts if script.name == address.item), detail.scripts[0])
            self.shown = shown_script(script, self.revision_id)
        elif address.tab == "files" and detail.files:
            file = next((file for file in detail.files if file.name == address.item), detail.files[0])
            entry = await catalog.get_file(
                session(), runtime().db, uuid_of(self.revision_id, text.NO_SUCH_TEMPLATE), file.name
            )
            self.shown = shown_file(file, entry.content, self.revision_id)
