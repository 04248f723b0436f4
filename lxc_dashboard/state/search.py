"""The search in the top bar: a few containers, templates and jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.library.catalog import Named
from lxc_dashboard.state.base import PageState, caller, requires, runtime, session
from lxc_dashboard.state.jobs.rows import title_of, word_of

if TYPE_CHECKING:
    from lxc_dashboard.services.monitor.rows import Row

QUERY_CHARS: Final = 100
HITS: Final = 8


@dataclass(frozen=True)
class Hit:
    """A search result. ``about`` distinguishes it from others with the same name."""

    title: str
    about: str
    href: str


@dataclass(frozen=True)
class Group:
    """At most ``HITS`` results of one sort."""

    title: str
    hits: list[Hit]


class SearchState(PageState, rx.State):
    """``found``: the results for the query ``of``."""

    of: str = ""
    found: list[Group] = []

    @requires()
    async def load(self) -> None:
        """Show the newest jobs until the user types."""
        await self._find("")

    @requires()
    async def find(self, query: str) -> None:
        """Find entries that contain every word. Containers come from the feed, without a request to PVE."""
        await self._find(" ".join(query[:QUERY_CHARS].split()))

    async def _find(self, query: str) -> None:
        async with self._filling():
            self.of, self.found = query, []
            rows = await caller().hub.rows(session())
            templates = await catalog.find_named(session(), runtime().db, query, HITS) if query else []
            jobs = await listing.named(runtime(), session(), rows, query, HITS)
            self.found = groups_of(containers_of(rows, query), templates, jobs)
            self._show(empty=not self.found)


def containers_of(rows: Mapping[int, Row], query: str) -> list[Hit]:
    """Containers with every word in vmid, name or address. First an exact vmid, then those that begin with the first word."""
    words = query.lower().split()
    if not words:
        return []

    def rank(row: Row) -> tuple[bool, bool, int]:
        vmid = str(row.vmid)
        begins = vmid.startswith(words[0]) or row.name.lower().startswith(words[0])
        return vmid != words[0], not begins, row.vmid

    fitting = (row for row in rows.values() if all(word in _text(row) for word in words))
    return [_container(row) for row in nsmallest(HITS, fitting, key=rank)]


def groups_of(containers: list[Hit], templates: Iterable[Named], jobs: Sequence[JobView]) -> list[Group]:
    """The groups with results."""
    found = {
        text.NAV_CONTAINERS: containers,
        text.NAV_TEMPLATES: [Hit(each.name, each.source, routes.template(each.id)) for each in templates],
        text.NAV_JOBS: [_job(job) for job in jobs],
    }
    return [Group(title, hits) for title, hits in found.items() if hits]


def _text(row: Row) -> str:
    return f"{row.vmid} {row.name} {row.address}".lower()


def _container(row: Row) -> Hit:
    about = " · ".join(part for part in (row.node, row.address, row.status) if part)
    return Hit(f"{row.vmid} {row.name}", about, routes.containers(q=f"{row.vmid} {row.name}"))


def _job(job: JobView) -> Hit:
    return Hit(title_of(job), f"{text.CT} {job.vmid} · {word_of(job)} · {job.created_at:%Y-%m-%d}", routes.job(job.id))
