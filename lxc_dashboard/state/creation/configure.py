"""The step Configure: each field, the mount points, and the next free address of a range."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.downloads import Order
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.services.creation.form.choices import Choices, choices, download_value, matching, split_os_template
from lxc_dashboard.services.creation.form.fields import MOUNTS_MAX
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.events.follow import follow
from lxc_dashboard.state.base import notify_warning, requires, runtime, session, uuid_of
from lxc_dashboard.state.creation import mount_rows, summary
from lxc_dashboard.state.creation.form import clip
from lxc_dashboard.state.creation.mount_rows import FIELD, MountRow, ShownMount
from lxc_dashboard.state.creation.summary import Option
from lxc_dashboard.state.creation.wizard import WizardPart, WizardState

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.events.lines import ProgressEvent

FAMILIES: Final = {"ipv4": 4, "ipv6": 6}


class FieldsState(WizardState):
    """Handlers of single fields."""

    @requires()
    async def keep(self, name: str, value: str | bool) -> None:
        """Store the value of a field that the user left."""
        if name in self.initial:
            typed = ("on" if value else "") if isinstance(value, bool) else str(value)
            self.form[name] = clip(name, typed)
            self._changed(name)
            await self._keep_draft()

    @requires()
    async def reset_field(self, name: str) -> None:
        """Set a field to the template's value."""
        if name in self.initial:
            self.form[name] = self.initial[name]
            self._rebuild(name)
            self._changed(name)
            await self._keep_draft()

    @requires()
    async def change_node(self, node: str) -> None:
        """Select another node, and replace choices that it does not have."""
        node = clip("node", node)
        offered = await self._offer(node)
        self.form["node"] = node
        self._rebuild(*self._fit_to(offered))
        self._draw()
        await self._keep_draft()


class MountsState(WizardPart, WizardState):
    """The list of mount points. The form holds them as one text; ``mounts`` shows them."""

    mounts: list[ShownMount] = []

    def _on_draw(self) -> None:
        self._set(mounts=mount_rows.shown_rows(self.form.get(FIELD, "")))

    @requires()
    async def add_mount(self) -> None:
        """Add a volume on the storage of the root disk."""
        self._set_rows([*self._rows()[:MOUNTS_MAX], MountRow(source=self.form.get("storage", ""))])
        self._changed(FIELD)
        await self._keep_draft()

    @requires()
    async def remove_mount(self, at: int) -> None:
        """Remove a mount point. Hides the faults of the others until the next check, because their names change."""
        rows, at = self._rows(), max(at, 0)
        self._set_rows(rows[:at] + rows[at + 1 :])
        self._replaced = mount_rows.close_gap(self._replaced, at)
        self._rebuild(FIELD)
        self._mark({name: fault for name, fault in self.errors.items() if not name.startswith(f"{FIELD}.")})
        self._changed(FIELD)
        await self._keep_draft()

    @requires()
    async def keep_mount(self, at: int, part: str, value: str | bool) -> None:
        """Store one part of a mount point."""
        rows = self._rows()
        if not 0 <= at < len(rows):
            return
        rows[at] = mount_rows.change_row(rows[at], part, value)
        self._set_rows(rows)
        self._changed(f"{FIELD}.{at}.{'source' if part == 'from' else part}")
        await self._keep_draft()

    def _rows(self) -> list[MountRow]:
        return mount_rows.parse_rows(self.form.get(FIELD, ""))

    def _set_rows(self, rows: list[MountRow]) -> None:
        self.form[FIELD] = mount_rows.format_rows(rows)


class AddressesState(WizardState):
    """``asking_for``: the family whose next free address is being searched (``ipv4`` or ``ipv6``), or empty."""

    asking_for: str = ""

    @requires(background=True)
    async def take_free_address(self, family: str) -> AsyncIterator[Any]:
        """Fill in the lowest address of the range that no guest is known to use."""
        rt, who = runtime(), session()
        async with self:
            if family not in FAMILIES or self.asking_for:
                return
            typed, gateway = self.form.get(f"{family}_range", ""), self.form.get(f"{family}_gateway", "")
            self.asking_for = family
        field = f"{family}_range"
        try:
            span = addresses.parse_range(typed, version=FAMILIES[family], field=field)
            found = await addresses.next_free(rt, who, span, gateway=gateway, field=field)
        except InvalidInputError as error:
            async with self:
                self._mark({**self.errors, **error.fields})
        else:
            async with self:
                self.form[f"{family}_address"] = found.addresses[0]
                self._rebuild(f"{family}_address")
                self._changed(f"{family}_range")
                self._changed(f"{family}_address")
                await self._keep_draft()
            if found.unasked:
                yield notify_warning(unknown_addresses(found.unasked))
        finally:
            async with self:
                self.asking_for = ""


def unknown_addresses(count: int) -> str:
    """A warning: the addresses of ``count`` containers are unknown."""
    return text.ADDRESS_UNKNOWN["one" if count == 1 else "many"].format(count=f"{count:,}")


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
