"""The page of one job: facts, steps, result and actions. The log in the page reads its own stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import reflex as rx
import structlog

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import CREATE_KIND, now
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError, UnreachableError
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.report import JobReport, PhaseReport, StepReport, report
from lxc_dashboard.services.creation.views import CreationView
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.services.jobs.acts import ACTS
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.kinds import is_known
from lxc_dashboard.state.base import READY, PageState, id_in, notify, requires, runtime, session, uuid_of
from lxc_dashboard.state.jobs.room import barred_from, notices
from lxc_dashboard.state.jobs.rows import (
    DOTS,
    OPEN_STATES,
    UNDER_WAY,
    line_of,
    seconds_of,
    title_of,
    word_of,
)
from lxc_dashboard.state.templates.rows import counted

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StepRow:
    """A step of a job. ``seconds`` is -1 if no time is known. ``seq``: its line in the log; 0 for none."""

    title: str
    mark: str
    word: str
    seconds: float
    ticking: bool
    seq: int


@dataclass(frozen=True)
class PhaseRow(StepRow):
    """A phase of a creation. ``note`` counts files, packages and scripts. ``steps``: those with a line of their own."""

    note: str = ""
    steps: list[StepRow] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    title: str = ""
    cause: str = ""
    remedy: str = ""
    tail: str = ""
    seq: int = 0


@dataclass(frozen=True)
class Result:
    address: str = ""
    ports: str = ""
    links: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


class JobState(PageState, rx.State):
    """``creates``: the job is a creation, with phases. ``is_open``: it has not ended. ``message``: the result of an act.

    ``busy``: a text while the container of a creation is being destroyed. ``barred``: a text about actions that the user may
    not take, and why. ``unknown``: a text about a kind that this version does not know.
    """

    id: str = ""
    creates: bool = True
    title: str = ""
    message: str = ""
    guest_href: str = ""
    created_at: str = ""
    log_base: str = ""
    console_href: str = ""
    name: str = ""
    vmid: int = 0
    node: str = ""
    template: str = ""
    userid: str = ""
    batch_href: str = ""
    state: str = ""
    dot: str = "unknown"
    word: str = ""
    percent: int = 0
    seconds: float = -1.0
    ticking: bool = False
    is_open: bool = False
    lost: bool = False
    may_cancel: bool = False
    may_retry: bool = False
    may_go_on: bool = False
    edit_href: str = ""
    may_destroy: bool = False
    may_keep: bool = False
    barred: str = ""
    unknown: str = ""
    retry_label: str = ""
    waiting: str = ""
    waiting_own: bool = False
    sign_in_href: str = ""
    busy: str = ""
    kept: bool = False
    phases: list[PhaseRow] = []
    failure: Failure = Failure()
    result: Result = Result()

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Fill the page. Clears it first if the address names another job than before."""
        job_id = id_in(self.router.url.path, self.router.url.query_parameters, "job_id")
        if job_id != self.id:
            self.reset()
            self.id = job_id
            yield
        async with self._filling():
            await self._read()
            self._show()

    @requires(unattended=True)
    async def refresh(self) -> None:
        """Read the job again, because the log's stream reports a change or its end. The next change retries after an error."""
        if self.phase != READY:
            return
        try:
            await self._read()
        except NotFoundError as error:
            await self._lose(error, id=self.id)
        except (ServiceUnavailableError, UnreachableError) as error:
            log.info("job not read", why=str(error))

    @requires()
    async def cancel(self) -> AsyncIterator[Any]:
        await jobs.cancel(runtime(), session(), uuid_of(self.id, text.NO_SUCH_JOB))
        yield notify(text.CANCEL_ASKED.format(guest=f"{text.CT} {self.vmid} {self.name}" if self.vmid else self.name))
        yield JobState.refresh

    @requires()
    async def retry(self) -> AsyncIterator[Any]:
        """Retry a creation from the failed step, or request an act again and open the page of its new job."""
        rt, who, job_id = runtime(), session(), uuid_of(self.id, text.NO_SUCH_JOB)
        if not self.creates:
            yield rx.redirect(routes.job(await jobs.retry(rt, who, job_id)))
            return
        await service.retry(rt, who, job_id)
        yield notify(text.RETRIED.format(vmid=self.vmid, name=self.name))
        yield JobState.refresh

    @requires()
    async def go_on(self) -> AsyncIterator[Any]:
        """Resume a creation that paused before the first start."""
        await service.go_on(runtime(), session(), uuid_of(self.id, text.NO_SUCH_JOB))
        yield notify(text.WENT_ON.format(vmid=self.vmid, name=self.name))
        yield JobState.refresh

    @requires()
    async def keep(self, wanted: bool) -> None:
        """Hide or show the choices about the container of a failed creation. Changes nothing in PVE."""
        self.kept = bool(wanted)

    @requires(background=True)
    async def destroy(self) -> AsyncIterator[Any]:
        """Have a worker destroy the container of the creation, and show the result."""
        rt, current = runtime(), session()
        async with self:
            if self.busy:
                return
            job_id = uuid_of(self.id, text.NO_SUCH_JOB)
            self.busy = text.DESTROYING.format(vmid=self.vmid, name=self.name)
        try:
            async for notice in notices(rt, await service.destroy(rt, current, job_id)):
                yield notice
        finally:
            async with self:
                self.busy = ""
        yield JobState.refresh

    async def _read(self) -> None:
        rt, who, job_id = runtime(), session(), uuid_of(self.id, text.NO_SUCH_JOB)
        shown = await jobs.visible(rt, who, job_id)
        self.creates = shown.job.kind == CREATE_KIND
        if self.creates:
            creation = await report(rt, who, job_id)
            self._fill(creation.view)
            self._fill_creation(creation)
        else:
            view = await jobs.get_job(rt, who, job_id)
            self._fill(view)
            self.barred = await barred_from(ACTS[view.kind], view.vmid) if view.may_retry else ""

    def _fill(self, view: JobView) -> None:
        self.log_base = f"{routes.CREATIONS}/{view.id}"
        self.title, self.message, self.created_at = (
            title_of(view),
            text.in_words_of(view.outcome),
            view.created_at.isoformat(),
        )
        self.name, self.vmid, self.node = view.name, view.vmid, view.node
        self.guest_href = routes.containers(q=f"{view.vmid} {view.name}".strip()) if view.exists and view.vmid else ""
        self.template, self.userid = view.template, view.userid
        self.may_cancel, self.may_retry, self.retry_label = view.may_cancel, view.may_retry, text.RETRY
        self.unknown = unknown_note(view)
        self.state = state = view.state.value
        self.dot, self.word = DOTS[state], word_of(view)
        self.percent, self.seconds = view.percent, seconds_of(view, now())
        self.ticking, self.is_open = state in UNDER_WAY, state in OPEN_STATES
        self.kept = self.kept and not self.is_open
        self.waiting_own = view.userid == session().userid
        self.sign_in_href = routes.sign_in_again(routes.job(view.id))
        self.waiting = "" if self.unknown else _waiting_note(view, own=self.waiting_own)
        self.failure = failure_of(view)

    def _fill_creation(self, creation: JobReport) -> None:
        view = creation.view
        self.console_href = routes.console(view.vmid) if view.may_console else ""
        self.batch_href = routes.batch(view.batch_id) if view.batch_id else ""
        self.seconds = creation.seconds if view.started_at else -1.0
        self.may_go_on = view.may_go_on
        self.edit_href = routes.edit_creation(view.id) if view.may_edit else ""
        self.may_destroy = view.may_destroy
        self.lost = not (view.exists or view.retryable)
        self.may_keep, self.barred = view.exists and (view.may_retry or view.may_destroy), barred(view)
        self.phases = [phase_row(phase) for phase in creation.phases]
        self.failure = failure_of(view, creation.tail, creation.failed_seq)
        step = view.error.step if view.error else ""
        if step:
            self.retry_label = text.RETRY_FROM.format(step=step)
        self.result = result_of(creation)


def unknown_note(view: JobView) -> str:
    """The text for a job whose kind this version does not know, as after a downgrade; empty for a known kind."""
    if is_known(view.kind):
        return ""
    words = text.UNKNOWN_KIND if view.finished_at else text.UNKNOWN_KIND_WAITS
    return words.format(kind=view.kind)


def barred(view: CreationView) -> str:
    """The text about actions that the user may not take on another user's ended creation; empty for their own."""
    if view.own:
        return ""
    lacks = (
        (view.exists and not view.manages, text.BARRED_DESTROY),
        (view.exists and not view.may_console, text.BARRED_CONSOLE),
    )
    why = [text.BARRED_RETRY, *(reason for lacking, reason in lacks if lacking)]
    granted = [text.REMEDY_PRIVILEGE] if len(why) > 1 else []
    return " ".join([*why, *granted]).format(userid=view.userid, vmid=view.vmid)


def _waiting_note(view: JobView, *, own: bool) -> str:
    """The text about what an unfinished job waits for, if it does not run."""
    if view.place is not None:
        return f"{line_of(view.place)}. {text.IN_LINE if view.place.node else text.QUEUED_NOTE}"
    notes = {
        "queued": text.QUEUED_NOTE,
        "waiting": text.WAITING_OWN if own else text.WAITING_OTHER,
        "paused": text.PAUSED_OWN if own else text.PAUSED_OTHER,
    }
    return notes.get(view.state.value, "").format(userid=view.userid, vmid=view.vmid, node=view.node)


def phase_row(phase: PhaseReport) -> PhaseRow:
    done = phase.mark in {"done", "warned"}
    note = ", ".join(_counted(kind, have, count, done=done) for kind, (have, count) in phase.counts.items())
    scripts = [step for step in phase.steps if step.key.startswith("script.")]
    steps = [_step_row(step, scripts) for step in phase.steps if _is_shown(step)]
    return PhaseRow(
        title=phase.phase.value,
        mark=phase.mark.value,
        word=text.STEP_MARKS[phase.mark.value],
        seconds=-1.0 if phase.seconds is None else phase.seconds,
        ticking=phase.mark == "active",
        seq=phase.seq,
        note=note,
        steps=steps,
    )


def _counted(kind: str, have: int, count: int, *, done: bool) -> str:
    """The count in words: ``0 of 1 file``, or ``1 file`` when all are done."""
    of_them = counted(count, text.STEP_NOUNS[kind])
    return of_them if done else text.STEP_COUNTS[kind].format(done=have, all=count, counted=of_them)


def _is_shown(step: StepReport) -> bool:
    """Whether the step has a line: always if it enters the guest or runs in it, otherwise unless it is done or to come."""
    return step.key.startswith(("start.init", "packages.", "script.")) or step.mark in {
        "active",
        "waiting",
        "failed",
        "stopped",
    }


def _step_row(step: StepReport, scripts: list[StepReport]) -> StepRow:
    place = {"title": step.title, "number": scripts.index(step) + 1, "all": len(scripts)} if step in scripts else {}
    return StepRow(
        title=text.STEP_NUMBERED.format(**place) if place else text.in_words(step.code, step.params, step.title),
        mark=step.mark.value,
        word=text.STEP_MARKS[step.mark.value],
        seconds=-1.0 if step.seconds is None else step.seconds,
        ticking=step.mark == "active",
        seq=step.seq,
    )


def failure_of(view: JobView, tail: Sequence[str] = (), seq: int = 0) -> Failure:
    """The failure of a job. ``tail``: the last lines of the failed step, from line ``seq`` of the log.

    Without ``tail``, the last lines of the PVE task are used.
    """
    error = view.error
    if error is None:
        return Failure()
    message, remedy = text.in_words_of(error.reason), error.remedy or text.remedy_of(error.reason)
    if view.state.value != "failed":
        return Failure(text.JOB_CANCELLED_TITLE, message, remedy, seq=seq)
    creates = view.kind == CREATE_KIND
    title = text.JOB_FAILED_TITLE.format(step=error.step or error.phase) if creates else text.JOB_STATES["failed"]
    return Failure(title, message, remedy, "\n".join(tail or error.tail), seq)


def result_of(creation: JobReport) -> Result:
    if creation.view.result is None:
        return Result()
    ports = ", ".join(str(port) for port in creation.ports)
    return Result(creation.view.result.address, ports, list(creation.links), list(creation.credentials))
