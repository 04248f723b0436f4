"""Lists of jobs that are updated after each change: the page of all jobs, and the dashboard's short list."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any, Final

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.jobs.listing import Wanted
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.jobs.room import FollowedJobs
from lxc_dashboard.state.jobs.rows import FILTERS, OPEN_STATES, PAGE_ROWS, QUERY_CHARS, Choice, View, kinds_of, row_of

DASHBOARD_ROWS: Final = 8
FAILED_SINCE: Final = timedelta(hours=24)
_ON_DASHBOARD: Final = Wanted(states=(*(JobState(state) for state in sorted(OPEN_STATES)), JobState.FAILED))


class JobsState(FollowedJobs, rx.State):
    """The page of all jobs, newest first, filtered by the address.

    ``rows``: one page of the list. ``_led``: the view that the user chose, until the address has it.
    """

    q: str = ""
    state: str = ""
    node: str = ""
    kind: str = ""
    guest: str = ""
    template: str = ""
    user: str = ""
    kinds: list[Choice] = []
    nodes: list[str] = []
    templates: list[str] = []
    users: list[str] = []
    window: str = ""
    newer_href: str = ""
    older_href: str = ""
    clear_href: str = View().address()
    _view: View = View()
    _led: View | None = None

    @requires()
    async def load(self) -> Any:
        """Show the view of the address, with later input."""
        view = View.of(self.router.url.query_parameters)
        self._view, self._led = view.typed_over(self._led, self._view.q), None
        async with self._filling():
            await self._read()
        return None if self._view == view else self._lead(self._view, replace=True)

    @requires()
    async def search(self, query: str) -> None:
        """Filter while the user types. ``load`` updates the address."""
        self._view = dataclasses.replace(self._view, q=query[:QUERY_CHARS], page=1)
        await self._read()

    @requires()
    async def narrow(self, name: str, value: str) -> Any:
        """Set one of ``FILTERS``; an empty value means any. Keeps an earlier choice that the address does not have yet."""
        if name not in FILTERS:
            return None
        coming = self._view if self._led is None else self._led.typed_over(self._led, self._view.q)
        following = dataclasses.replace(coming, page=1, **{name: value[:QUERY_CHARS]})
        return None if following == coming else self._lead(following)

    @requires()
    async def narrow_guest(self, form: dict[str, Any]) -> Any:
        """``narrow`` for the field of the guest, when Enter submits it."""
        return await self.narrow("guest", str(form.get("guest", "")))

    def _lead(self, view: View, *, replace: bool = False) -> Any:
        self._led = view
        return rx.redirect(view.address(page=view.page), replace=replace)

    async def _read(self) -> None:
        view = self._view
        await self._remember()
        offset = (view.page - 1) * PAGE_ROWS
        found = await listing.page_of(runtime(), session(), view.wanted, limit=PAGE_ROWS, offset=offset)
        self._put([row_of(job, now()) for job in found.jobs])
        first, last = offset + 1, offset + len(found.jobs)
        self._set(
            kinds=kinds_of({*found.choices.kinds, view.kind} - {""}),
            nodes=list(found.choices.nodes),
            templates=list(found.choices.templates),
            users=list(found.choices.users),
            own_only=found.own_only,
            window=text.JOBS_WINDOW.format(first=f"{first:,}", last=f"{last:,}", total=f"{found.total:,}"),
            newer_href=view.address(page=view.page - 1) if view.page > 1 else "",
            older_href=view.address(page=view.page + 1) if last < found.total and found.jobs else "",
            **{name: getattr(view, name) for name in ("q", *FILTERS)},
        )
        self._show(empty=not found.total and not view.narrows)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)


class DashboardJobsState(FollowedJobs, rx.State):
    """The newest ``DASHBOARD_ROWS`` jobs that run, wait for a user, or failed within ``FAILED_SINCE``."""

    @requires()
    async def load(self) -> None:
        async with self._filling():
            await self._read()

    async def _read(self) -> None:
        await self._remember()
        found = await listing.page_of(runtime(), session(), _ON_DASHBOARD, limit=DASHBOARD_ROWS)
        if found.own_only != self.own_only:
            self.own_only = found.own_only
        at = now()
        oldest = at - FAILED_SINCE
        self._put([row_of(job, at) for job in found.jobs if job.finished_at is None or job.finished_at > oldest])
        self._show(empty=not self.rows)
