"""The wizard's search over the OS templates that PVE offers, and their download while one looks on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.downloads import Begun, Fetch, FetchState, Order
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.state.addresses import Addresses
from lxc_dashboard.state.base import requires, runtime, session

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

QUERY_CHARS: Final = 100


@dataclass(frozen=True)
class Fetching:
    """``state`` is empty where nothing was downloaded here, else one of ``FetchState``."""

    state: str = ""
    node: str = ""
    storage: str = ""
    template: str = ""
    upid: str = ""
    percent: int = 0
    line: str = ""
    cause: str = ""
    stopping: bool = False


class Appliances(Addresses, mixin=True):
    """The part of the wizard that finds OS templates and fetches them. ``fetching``: the last one of this page."""

    fetching: Fetching = Fetching()
    _follower: int = 0

    @requires()
    async def search(self, query: str) -> None:
        """Over all sections, as it is typed."""
        self.query = query[:QUERY_CHARS]
        self._find()

    @requires()
    async def choose_template_storage(self, name: str) -> None:
        """Where downloads go."""
        if name in {option.value for option in self.template_storages}:
            self.template_storage = name

    @requires()
    async def take_appliance(self, template: str) -> None:
        """Chosen: as it is there, or to be downloaded by the job."""
        if self._choices is None:
            return
        there = next((t.value for t in self._choices.ostemplates if t.name == template and not t.is_download), "")
        wanted = there or choices.download_value(self.template_storage, template)
        if self._choices.has_os_template(wanted):
            await self._choose_os_template(wanted)

    @requires(background=True)
    async def download_now(self, template: str) -> None:
        """Fetches it while the page shows how far it is; at its end it is chosen."""
        rt, who = runtime(), session()
        async with self:
            known = self._choices is not None and template in {a.template for a in self._choices.appliances}
            if not known or self.fetching.state == FetchState.RUNNING:
                return
            order = Order(self.form.get("node", ""), self.template_storage, template)
            asked = self.fetching = Fetching(FetchState.RUNNING.value, order.node, order.storage, template)
            tab = self._tab()
        upid = ""
        try:
            upid = await downloads.begin(rt, who, order)
            await downloads.remember(rt, who, tab, Begun(order, upid))
        finally:
            async with self:
                # What stands there by now may be of a reload, which could not know of it yet.
                self.fetching = replace(asked, upid=upid) if upid else Fetching()
        await self._follow(rt, who)

    @requires(background=True)
    async def resume_download(self) -> None:
        """After a reload, whichever process serves it: what is being downloaded is followed from here on."""
        rt, who = runtime(), session()
        async with self:
            tab = self._tab()
        begun = None
        try:
            begun = await downloads.remembered(rt, who, tab)
        finally:
            async with self:
                self._resumed(begun)
        await self._follow(rt, who)

    def _resumed(self, begun: Begun | None) -> None:
        if begun is not None:
            order = begun.order
            self.fetching = Fetching(FetchState.RUNNING.value, order.node, order.storage, order.template, begun.upid)
        elif self.fetching.state == FetchState.RUNNING:
            self.fetching = Fetching()  # whoever had begun it is gone, and it may not have begun at all

    def _tab(self) -> str:
        return str(self.router.session.client_token)

    @requires()
    async def stop_download(self) -> None:
        """PVE may take some seconds over it."""
        if self.fetching.state == FetchState.RUNNING and self.fetching.upid:
            await downloads.stop(runtime(), session(), self.fetching.upid)
            self.fetching = replace(self.fetching, stopping=True)

    async def _follow(self, rt: Runtime, who: Session) -> None:
        """One follower at a time: a later one takes over."""
        async with self:
            if self.fetching.state != FetchState.RUNNING:
                return
            self._follower += 1
            mine, begun = self._follower, self.fetching

        async def tell(fetch: Fetch) -> bool:
            async with self:
                if mine == self._follower:
                    self._told(fetch)
                return mine == self._follower

        try:
            end = await downloads.follow(rt, who, begun.upid, tell)
            found = await choices.choices(rt, who, begun.node) if end.state is FetchState.DONE else None
        except Exception:
            async with self:  # how it stands is not known any more, and why is told
                if mine == self._follower:
                    self.fetching = Fetching()
            raise
        async with self:
            if mine == self._follower:
                self._told(end)
                if found is not None and found.node == self.form.get("node"):
                    self._take_offer(found)
                    await self._choose_os_template(Order(begun.node, begun.storage, begun.template).volid)
                await downloads.forget(rt, who, self._tab())

    def _told(self, fetch: Fetch) -> None:
        self.fetching = replace(
            self.fetching,
            state=fetch.state.value,
            percent=fetch.percent,
            line=fetch.line,
            cause=fetch.cause,
            stopping=self.fetching.stopping and fetch.state is FetchState.RUNNING,
        )

    async def _choose_os_template(self, value: str) -> None:
        self.form["ostemplate"] = value
        self._changed_here("ostemplate")
        self._mended("ostemplate")
        await self._keep_draft()
