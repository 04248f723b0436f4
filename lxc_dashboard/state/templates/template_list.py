"""The list of templates, filtered while the user types, one page at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any, Final

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.services.templates.library import catalog, drafts
from lxc_dashboard.services.templates.sources import passes
from lxc_dashboard.state.base import PageState, notify, requires, runtime, session
from lxc_dashboard.state.templates.rows import (
    FILTERS,
    LAYOUTS,
    PAGE_ROWS,
    QUERY_CHARS,
    SORTS,
    Refused,
    TemplateRow,
    View,
    counted,
    matching,
    refusals_of,
    row_of,
    values_of,
)

__all__ = ["Refused", "TemplateRow", "TemplatesState", "counted", "row_of"]

REFUSED_SHOWN: Final = 20
CHOSEN_AT_MOST: Final = 1000


class TemplatesState(PageState, rx.State):
    """``rows``: the current page; ``found``: the number of matches. ``chosen``: ids on all pages.

    ``_led``: the view that the user chose, until the address has it.
    """

    rows: list[TemplateRow] = []
    refused: list[Refused] = []
    refused_more: int = 0
    q: str = ""
    tag: str = ""
    source: str = ""
    os: str = ""
    sort: str = "name"
    order: str = "ascending"
    layout: str = LAYOUTS[0]
    tags: list[str] = []
    sources: list[str] = []
    systems: list[str] = []
    found: int = 0
    counted: str = ""
    window: str = ""
    refused_rest: str = ""
    newer_href: str = ""
    older_href: str = ""
    clear_href: str = ""
    chosen: list[str] = []
    page_chosen: bool = False
    _view: View = View()
    _led: View | None = None
    # Reflex does not track tuples. Searching a tracked list takes twenty times as long.
    _all: tuple[TemplateRow, ...] = ()
    _page: tuple[TemplateRow, ...] = ()
    _deep: frozenset[str] = frozenset()

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Show the view of the address, first from memory, then from the database."""
        before, view = self._view.q, View.of(self.router.url.query_parameters)
        self._view, self._led = view.typed_over(self._led, before), None
        self._deep = self._deep if before == self._view.q else frozenset()
        self.layout = self._view.layout or self.layout
        if self._all:
            self._apply()
            yield
        async with self._filling():
            await self._read()
            await self._look_deeper()
            self._apply()
            self._show(empty=not self._all and not self.refused)
        if self._view != view:
            yield self._lead(self._view, replace=True)

    @requires()
    async def search(self, query: str) -> AsyncIterator[Any]:
        """Filter while the user types, first by the rows, then by packages and scripts. The page updates the address."""
        self._view, self._deep = dataclasses.replace(self._view, q=query[:QUERY_CHARS], page=1), frozenset()
        self._apply()
        yield
        await self._look_deeper()
        self._apply()

    @requires()
    async def narrow(self, name: str, value: str) -> Any:
        """Set one of ``FILTERS``; an empty value means any."""
        return self._lead(self._with(**{name: value})) if name in FILTERS else None

    @requires()
    async def sort_by(self, key: str) -> Any:
        """Sort by a column. A second call reverses the order."""
        if key not in SORTS:
            return None
        view = self._coming()
        return self._lead(self._with(sort=key, down=key == view.sort and not view.down))

    @requires()
    async def remember(self, layout: str) -> None:
        """Use the last layout of the browser if the address has none."""
        if layout in LAYOUTS and not self._view.layout:
            self.layout = layout

    @requires()
    async def lay_out(self, layout: str) -> Any:
        """Set the layout: table or cards."""
        return self._lead(self._with(layout=layout, page=self._coming().page)) if layout in LAYOUTS else None

    @requires()
    async def pick(self, template_id: str) -> None:
        """Select a template, or deselect it."""
        others = [other for other in self.chosen if other != template_id]
        known = template_id in {row.id for row in self._page}
        self.chosen = others if len(others) < len(self.chosen) else [*others, *([template_id] if known else [])]
        self._tick()

    @requires()
    async def pick_page(self) -> None:
        """Select all templates of the page, or deselect them if all are selected."""
        ids = [row.id for row in self._page]
        if self.page_chosen:
            self.chosen = [other for other in self.chosen if other not in ids]
        else:
            self.chosen = list(dict.fromkeys([*self.chosen, *ids]))[:CHOSEN_AT_MOST]
        self._tick()

    @requires()
    async def pick_found(self) -> None:
        """Select all templates that match."""
        self.chosen = [row.id for row in self._matching()][:CHOSEN_AT_MOST]
        self._tick()

    @requires()
    async def pick_none(self) -> None:
        self.chosen = []
        self._tick()

    @requires()
    async def read_folders(self) -> AsyncIterator[Any]:
        """Read the folders again and show the result."""
        reports = await passes.read_again(runtime(), session())
        counts = {
            name: sum(len(getattr(r, name)) for r in reports) for name in ("added", "changed", "removed", "refused")
        }
        yield notify(text.FOLDERS_READ.format(**counts))
        yield TemplatesState.load

    def _coming(self) -> View:
        """The view that the user chose, with later input, or else the current view."""
        return self._view if self._led is None else self._led.typed_over(self._led, self._view.q)

    def _with(self, **changed: Any) -> View:
        return dataclasses.replace(self._coming(), **({"page": 1} | changed))

    def _lead(self, view: View, *, replace: bool = False) -> Any:
        self._led = view
        return rx.redirect(view.address(page=view.page), replace=replace)

    async def _read(self) -> None:
        db = runtime().db
        found = await catalog.list_templates(session(), db)
        sources = await catalog.list_sources(session(), db)
        built = await catalog.counts(session(), db)
        drafted = {draft.template_id for draft in await drafts.list_drafts(runtime(), session()) if draft.touched}
        self._all = tuple(row_of(s, built.get(s.id, 0), drafted=s.id in drafted) for s in found)
        refused = refusals_of(source.report for source in sources)
        more = max(0, len(refused) - REFUSED_SHOWN)
        values = values_of(self._all, self._view)
        self._set(
            refused=refused[:REFUSED_SHOWN],
            refused_more=more,
            refused_rest=text.REFUSED_MORE.format(count=more),
            tags=values["tag"],
            sources=values["source"],
            systems=values["os"],
        )
        there = {row.id for row in self._all}
        self.chosen = [template_id for template_id in self.chosen if template_id in there]

    async def _look_deeper(self) -> None:
        found = await catalog.search(session(), runtime().db, self._view.q) if self._view.q.strip() else ()
        self._deep = frozenset(str(template_id) for template_id in found)

    def _matching(self) -> list[TemplateRow]:
        return matching(self._all, self._view, self._deep)

    def _apply(self) -> None:
        """Set the vars from ``_view`` and ``_all``. Unchanged vars are not sent."""
        view, found = self._view, self._matching()
        pages = max(1, -(-len(found) // PAGE_ROWS))
        page = min(view.page, pages)
        begin = (page - 1) * PAGE_ROWS
        rows = tuple(found[begin : begin + PAGE_ROWS])
        if rows != self._page:
            self.rows, self._page = list(rows), rows
        self._set(
            found=len(found),
            counted=_counted(len(found), len(self._all)),
            window=text.TEMPLATES_WINDOW.format(first=begin + 1, last=begin + len(rows), found=len(found)),
            newer_href=view.address(page=page - 1) if page > 1 else "",
            older_href=view.address(page=page + 1) if page < pages else "",
            clear_href=View(layout=view.layout, sort=view.sort, down=view.down).address(),
            order="descending" if view.down != (view.sort in {"updated", "containers"}) else "ascending",
            **{name: getattr(view, name) for name in ("q", "tag", "source", "os", "sort")},
        )
        self._tick()

    def _tick(self) -> None:
        chosen = set(self.chosen)
        self._set(page_chosen=bool(self._page) and all(row.id in chosen for row in self._page))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)


def _counted(found: int, total: int) -> str:
    if found != total:
        return text.TEMPLATES_SOME.format(found=f"{found:,}", total=counted(total, "template"))
    return counted(total, "template")
