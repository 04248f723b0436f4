"""PVE's choices: options of the form's selects, and OS templates to search and download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.downloads import Order
from lxc_dashboard.services.creation.form.choices import Choices, choices, download_value, matching, split_os_template
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.events.follow import follow
from lxc_dashboard.state.base import requires, runtime, session, uuid_of
from lxc_dashboard.state.creation import summary
from lxc_dashboard.state.creation.summary import Option
from lxc_dashboard.state.creation.wizard import WizardPart, WizardState

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.events.lines import ProgressEvent

QUERY_CHARS: Final = 100
SHOWN_MAX: Final = 20
RUNNING: Final = "running"
UNSEEN_POOLS_MAX: Final = 10


class OfferState(WizardPart, WizardState):
    """``missing``: lists that PVE did not give, with the cause. ``_unseen_pools``: chosen pools not in PVE's list."""

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
            missing=[text.with_remedy(message) for message in offered.missing],
        )

    def _downloads(self, offered: Choices) -> list[Option]:
        """OS templates to download, including the one chosen by search."""
        chosen = self.form.get("ostemplate", "")
        options = summary.os_options(offered, download=True)
        listed = chosen in {option.value for option in options}
        if split_os_template(chosen)[1] and not listed and offered.has_os_template(chosen):
            options.append(Option(chosen, summary.os_name(chosen.rpartition("/")[2])))
        return options

    def _pools(self, offered: Choices) -> list[Option]:
        """Pools that PVE lists, and those of a preset, link or job. Empty if PVE lists none."""
        chosen = self.form.get("pool", "")
        if offered.pools and chosen not in {"", *offered.pools, *self._unseen_pools}:
            self._unseen_pools = (*self._unseen_pools, chosen)[-UNSEEN_POOLS_MAX:]
        names = sorted({*offered.pools, *self._unseen_pools}) if offered.pools else []
        return [Option(name, name) for name in names]


@dataclass(frozen=True)
class ApplianceRow:
    """``template``: the file's name. ``there``: a storage of the node has it."""

    template: str
    name: str
    headline: str
    section: str
    there: bool


@dataclass(frozen=True)
class Fetching:
    """``state``: ``RUNNING``, the final state of ``job``, or empty if nothing was downloaded."""

    state: str = ""
    node: str = ""
    storage: str = ""
    template: str = ""
    job: str = ""
    percent: int = 0
    line: str = ""
    cause: str = ""
    stopping: bool = False


class AppliancesState(WizardPart, WizardState):
    """OS templates that PVE can download.

    ``matches``: how many ``query`` finds. ``appliances``: the first of them. ``fetching``: this page's last download.
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
        """Select an OS template: from a storage of the node, else as a download during the creation."""
        if self._choices is None:
            return
        there = next((t.value for t in self._choices.ostemplates if t.name == template and not t.is_download), "")
        value = there or download_value(self.template_storage, template)
        if self._choices.has_os_template(value):
            await self._select(value)

    @requires(background=True)
    async def download_now(self, template: str) -> None:
        """Download an OS template in a worker, show the progress, then select it."""
        rt, who = runtime(), session()
        async with self:
            known = self._choices is not None and template in {a.template for a in self._choices.appliances}
            if not known or self.fetching.state == RUNNING:
                return
            order = Order(self.form.get("node", ""), self.template_storage, template)
            begun = self.fetching = Fetching(RUNNING, order.node, order.storage, template)
        job_id = ""
        try:
            job_id = str(await downloads.request(rt, who, order))
        finally:
            async with self:
                # A reload during the request has overwritten ``fetching``.
                self.fetching = replace(begun, job=job_id) if job_id else Fetching()
        await self._follow(rt, who)

    @requires(background=True)
    async def resume_download(self) -> None:
        """Follow a running download again after a reload, also in another process."""
        rt, who = runtime(), session()
        job = None
        try:
            job = await downloads.newest_of(rt, who)
        finally:
            async with self:
                if job is not None:
                    params = job.params
                    self.fetching = Fetching(RUNNING, job.node, params["storage"], params["template"], str(job.id))
                elif self.fetching.state == RUNNING:
                    self.fetching = Fetching()  # the job has ended, or was never stored
        await self._follow(rt, who)

    @requires()
    async def stop_download(self) -> None:
        """Cancel the download. PVE may need some seconds."""
        if self.fetching.state == RUNNING and self.fetching.job:
            await jobs.cancel(runtime(), session(), uuid_of(self.fetching.job, text.NO_SUCH_JOB))
            self.fetching = replace(self.fetching, stopping=True)

    async def _follow(self, rt: Runtime, who: Session) -> None:
        """Show the progress. Only the newest follower does. Closing the page does not stop the download."""
        async with self:
            if self.fetching.state != RUNNING:
                return
            self._follower += 1
            mine, job_id = self._follower, uuid_of(self.fetching.job, text.NO_SUCH_JOB)
        async for batch in follow(rt, job_id):
            async with self:
                if mine != self._follower:
                    return
                self._show_progress(batch)
        async with rt.db.transaction() as tx:
            job = await tx.jobs.get(job_id)
        try:
            offered = await choices(rt, who, job.node) if job.state == JobState.DONE else None
        except Exception:
            async with self:  # the download's state is unknown; the error is shown
                if mine == self._follower:
                    self.fetching = Fetching()
            raise
        async with self:
            if mine != self._follower:
                return
            cause = text.in_words_of(job.error)
            self.fetching = replace(self.fetching, state=job.state, percent=job.percent, cause=cause, stopping=False)
            if offered is not None and offered.node == self.form.get("node"):
                self._choices = offered
                await self._select(job.name)

    def _show_progress(self, batch: Sequence[ProgressEvent]) -> None:
        lines = [event.message for event in batch if event.type is EventType.LOG]
        line = lines[-1].rpartition("\n")[2] if lines else self.fetching.line
        self.fetching = replace(self.fetching, percent=batch[-1].percent, line=line)

    async def _select(self, value: str) -> None:
        self.form["ostemplate"] = value
        self._rebuild("ostemplate")
        self._changed("ostemplate")
        await self._keep_draft()
