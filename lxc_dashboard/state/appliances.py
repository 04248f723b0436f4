"""The wizard's search over the OS templates that PVE offers, and their download while one looks on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.services.creation import choices, downloads
from lxc_dashboard.services.creation.downloads import Order
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.follow import follow
from lxc_dashboard.state.addresses import Addresses
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.ids import uuid_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.events import ProgressEvent

QUERY_CHARS: Final = 100
RUNNING: Final = "running"


@dataclass(frozen=True)
class Fetching:
    """``state`` is empty where nothing was downloaded here, ``RUNNING``, or how the ``job`` ended."""

    state: str = ""
    node: str = ""
    storage: str = ""
    template: str = ""
    job: str = ""
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
        """Have a worker fetch it while the page shows how far it is; at its end it is chosen."""
        rt, who = runtime(), session()
        async with self:
            known = self._choices is not None and template in {a.template for a in self._choices.appliances}
            if not known or self.fetching.state == RUNNING:
                return
            order = Order(self.form.get("node", ""), self.template_storage, template)
            asked = self.fetching = Fetching(RUNNING, order.node, order.storage, template)
        job_id = ""
        try:
            job_id = str(await downloads.request(rt, who, order))
        finally:
            async with self:
                # What stands there by now may be of a reload, which could not know of it yet.
                self.fetching = replace(asked, job=job_id) if job_id else Fetching()
        await self._follow(rt, who)

    @requires(background=True)
    async def resume_download(self) -> None:
        """After a reload, whichever process serves it: what is being downloaded is followed from here on."""
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
                    self.fetching = Fetching()  # it has ended, or it may not have begun at all
        await self._follow(rt, who)

    @requires()
    async def stop_download(self) -> None:
        """PVE may take some seconds over it."""
        if self.fetching.state == RUNNING and self.fetching.job:
            rt, who = runtime(), session()
            await jobs.cancel(rt, who, uuid_of(self.fetching.job, text.NO_SUCH_JOB))
            self.fetching = replace(self.fetching, stopping=True)

    async def _follow(self, rt: Runtime, who: Session) -> None:
        """One follower at a time: a later one takes over. Its page may close: nothing is stopped by that."""
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
        done = job.state == JobState.DONE
        try:
            found = await choices.choices(rt, who, job.node) if done else None
        except Exception:
            async with self:  # why is told, and the search offers it again
                if mine == self._follower:
                    self.fetching = Fetching()
            raise
        async with self:
            if mine != self._follower:
                return
            cause = text.in_words_of(job.error)
            self.fetching = replace(self.fetching, state=job.state, percent=job.percent, cause=cause, stopping=False)
            if found is not None and found.node == self.form.get("node"):
                self._take_offer(found)
                await self._choose_os_template(job.name)

    def _show_progress(self, batch: Sequence[ProgressEvent]) -> None:
        lines = [event.message for event in batch if event.type is EventType.LOG]
        line = lines[-1].rpartition("\n")[2] if lines else self.fetching.line
        self.fetching = replace(self.fetching, percent=batch[-1].percent, line=line)

    async def _choose_os_template(self, value: str) -> None:
        self.form["ostemplate"] = value
        self._changed_here("ostemplate")
        self._mended("ostemplate")
        await self._keep_draft()
