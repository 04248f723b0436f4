"""What PVE offers: options of the form's selects, and OS templates to search and download."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.choices import Choices, choices, download_value, matching, split_os_template
from lxc_dashboard.services.creation.downloads import Begun, Fetch, FetchState, Order
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.creation import summary
from lxc_dashboard.state.creation.summary import Option
from lxc_dashboard.state.creation.wizard import WizardPart, WizardState

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

QUERY_CHARS: Final = 100
SHOWN_MAX: Final = 20
UNSEEN_POOLS_MAX: Final = 10


class OfferState(WizardPart, WizardState):
    """``missing``: what PVE did not list, and why. ``_unseen_pools``: pools of presets that it hides."""

    nodes: list[Option] = []
    storages: list[Option] = []
    bridges: list[Option] = []
    os_present: list[Option] = []
    os_downloads: list[Option] = []
    pools: list[Option] = []
    next_vmid: str = ""
    missing: list[str] = []
    _unseen_pools: tuple[str, ...] = ()

    def _on_draw(self) -> None:
        offered = self._choices
        if offered is None:
            return
        self._set(
            nodes=summary.node_options(offered),
            storages=summary.storage_options(offered.storages),
            bridges=summary.bridge_options(offered),
            os_present=summary.os_options(offered, download=False),
            os_downloads=self._downloads(offered),
            pools=self._pools(offered),
            next_vmid=str(offered.next_vmid or ""),
            missing=list(offered.missing),
        )

    def _downloads(self, offered: Choices) -> list[Option]:
        """OS templates to download, with the one that was found by the search."""
        chosen = self.form.get("ostemplate", "")
        options = summary.os_options(offered, download=True)
        listed = chosen in {option.value for option in options}
        if split_os_template(chosen)[1] and not listed and offered.has_os_template(chosen):
            options.append(Option(chosen, summary.os_name(chosen.rpartition("/")[2])))
        return options

    def _pools(self, offered: Choices) -> list[Option]:
        """Pools that PVE lists, and those of a preset, link or job. None if it lists none."""
        chosen = self.form.get("pool", "")
        if offered.pools and chosen not in {"", *offered.pools, *self._unseen_pools}:
            self._unseen_pools = (*self._unseen_pools, chosen)[-UNSEEN_POOLS_MAX:]
        names = sorted({*offered.pools, *self._unseen_pools}) if offered.pools else []
        return [Option(name, name) for name in names]


@dataclass(frozen=True)
class ApplianceRow:
    """``template``: the name of the file. ``there``: a storage of the node has it."""

    template: str
    name: str
    headline: str
    section: str
    there: bool


@dataclass(frozen=True)
class Fetching:
    """``state``: one of ``FetchState``, empty if nothing was downloaded."""

    state: str = ""
    node: str = ""
    storage: str = ""
    template: str = ""
    upid: str = ""
    percent: int = 0
    line: str = ""
    cause: str = ""
    stopping: bool = False


class AppliancesState(WizardPart, WizardState):
    """OS templates that PVE can download.

    ``matches`` counts what ``query`` finds; ``appliances`` are the first of them. ``fetching``: the last download of this page.
    """

    query: str = ""
    matches: int = 0
    appliances: list[ApplianceRow] = []
    template_storages: list[Option] = []
    template_storage: str = ""
    fetching: Fetching = Fetching()
    _follower: int = 0

    def _on_draw(self) -> None:
        offered = self._choices
        if offered is None:
            return
        self._find()
        storages = summary.storage_options(offered.template_storages)
        names = [option.value for option in storages]
        chosen = self.template_storage if self.template_storage in names else next(iter(names), "")
        self._set(template_storages=storages, template_storage=chosen)

    def _find(self) -> None:
        offered = self._choices
        found = matching(offered, self.query) if offered else []
        there = {t.name for t in offered.ostemplates if not t.is_download} if offered else set()
        rows = [ApplianceRow(a.template, a.name, a.headline, a.section, a.template in there) for a in found[:SHOWN_MAX]]
        self._set(matches=len(found), appliances=rows)

    @requires()
    async def search(self, query: str) -> None:
        """Search in all sections while the user types."""
        self.query = query[:QUERY_CHARS]
        self._find()

    @requires()
    async def choose_template_storage(self, name: str) -> None:
        """Choose the storage that downloads go to."""
        if name in {option.value for option in self.template_storages}:
            self.template_storage = name

    @requires()
    async def take_appliance(self, template: str) -> None:
        """Select an OS template: the one on the node, else one that the job downloads."""
        if self._choices is None:
            return
        there = next((t.value for t in self._choices.ostemplates if t.name == template and not t.is_download), "")
        value = there or download_value(self.template_storage, template)
        if self._choices.has_os_template(value):
            await self._select(value)

    @requires(background=True)
    async def download_now(self, template: str) -> None:
        """Download an OS template while the page shows the progress, then select it."""
        rt, who = runtime(), session()
        async with self:
            known = self._choices is not None and template in {a.template for a in self._choices.appliances}
            if not known or self.fetching.state == FetchState.RUNNING:
                return
            order = Order(self.form.get("node", ""), self.template_storage, template)
            begun = self.fetching = Fetching(FetchState.RUNNING.value, order.node, order.storage, template)
            tab = self._tab()
        upid = ""
        try:
            upid = await downloads.begin(rt, who, order)
            await downloads.remember(rt, who, tab, Begun(order, upid))
        finally:
            async with self:
                # A reload meanwhile has set ``fetching`` without knowing of this download.
                self.fetching = replace(begun, upid=upid) if upid else Fetching()
        await self._follow(rt, who)

    @requires(background=True)
    async def resume_download(self) -> None:
        """Follow a running download after a reload, in whichever process serves the page."""
        rt, who = runtime(), session()
        async with self:
            tab = self._tab()
        begun = None
        try:
            begun = await downloads.remembered(rt, who, tab)
        finally:
            async with self:
                self._resume(begun)
        await self._follow(rt, who)

    @requires()
    async def stop_download(self) -> None:
        """PVE may need some seconds for it."""
        if self.fetching.state == FetchState.RUNNING and self.fetching.upid:
            await downloads.stop(runtime(), session(), self.fetching.upid)
            self.fetching = replace(self.fetching, stopping=True)

    def _resume(self, begun: Begun | None) -> None:
        if begun is not None:
            order = begun.order
            self.fetching = Fetching(FetchState.RUNNING.value, order.node, order.storage, order.template, begun.upid)
        elif self.fetching.state == FetchState.RUNNING:
            self.fetching = Fetching()  # its process ended before PVE had begun, as far as anybody knows

    def _tab(self) -> str:
        return str(self.router.session.client_token)

    async def _follow(self, rt: Runtime, who: Session) -> None:
        """Show the progress. Only the last follower does."""
        async with self:
            if self.fetching.state != FetchState.RUNNING:
                return
            self._follower += 1
            mine, begun = self._follower, self.fetching

        async def tell(fetch: Fetch) -> bool:
            async with self:
                if mine == self._follower:
                    self._show_fetch(fetch)
                return mine == self._follower

        try:
            end = await downloads.follow(rt, who, begun.upid, tell)
            offered = await choices(rt, who, begun.node) if end.state is FetchState.DONE else None
        except Exception:
            async with self:  # its state is unknown now; the error is shown
                if mine == self._follower:
                    self.fetching = Fetching()
            raise
        async with self:
            if mine == self._follower:
                self._show_fetch(end)
                if offered is not None and offered.node == self.form.get("node"):
                    self._choices = offered
                    await self._select(Order(begun.node, begun.storage, begun.template).volid)
                await downloads.forget(rt, who, self._tab())

    def _show_fetch(self, fetch: Fetch) -> None:
        self.fetching = replace(
            self.fetching,
            state=fetch.state.value,
            percent=fetch.percent,
            line=fetch.line,
            cause=fetch.cause,
            stopping=self.fetching.stopping and fetch.state is FetchState.RUNNING,
        )

    async def _select(self, value: str) -> None:
        self.form["ostemplate"] = value
        self._rebuild("ostemplate")
        self._changed("ostemplate")
        await self._keep_draft()
