"""Search over what has a page: containers, templates and jobs, some of each."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard.services.jobs import glance
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.state.base import PageState, caller, requires, runtime, session
from lxc_dashboard.state.search_rows import HITS, QUERY_CHARS, Group, containers_of, groups_of


class SearchState(PageState, rx.State):
    """``found`` is what there is of the words ``of``."""

    of: str = ""
    found: list[Group] = []

    @requires()
    async def load(self) -> None:
        """What is shown before anything is typed: the newest jobs."""
        await self._find("")

    @requires()
    async def find(self, query: str) -> None:
        """Looks for what holds every word; PVE is asked nothing, as the feed knows the containers."""
        await self._find(" ".join(query[:QUERY_CHARS].split()))

    async def _find(self, query: str) -> None:
        async with self._filling():
            self.of, self.found = query, []
            rows = await caller().hub.rows(session())
            templates = await catalog.find_named(session(), runtime().db, query, HITS) if query else []
            jobs = await glance.named(runtime(), session(), rows, query, HITS)
            self.found = groups_of(containers_of(rows, query), templates, jobs)
            self._show(empty=not self.found)
