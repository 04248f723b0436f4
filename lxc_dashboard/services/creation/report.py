"""The report on a job's page: each phase and step with its duration and place in the log, and the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lxc_dashboard.db.models import EventType, JobEvent, JobState, Phase, now
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.views import CreationView, StepState, StepView
from lxc_dashboard.services.jobs.codes import STANDSTILLS
from lxc_dashboard.services.jobs.events.lines import lines_of, plain

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

TAIL_LINES: Final = 12
LOOKED_BACK_LINES: Final = 400
ROOT_PASSWORD: Final = "root"  # noqa: S105 the name of one
FILE_STEP: Final = "deploy.file."
PACKAGE_STEP: Final = "packages."
SCRIPT_STEP: Final = "script."
_HTTPS_PORTS: Final = frozenset({443, 8443, 9443})
_HTTP_PORTS: Final = frozenset({80, 3000, 5000, 8000, 8008, 8080, 8081, 8888, 9000, 9090})
_GOES_ON: Final = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING})


class Mark(StrEnum):
    """The state of a phase or step. ``warned``: done, but with a warning. ``stopped``: the cancel came during it."""

    TODO = "todo"
    ACTIVE = "active"
    WAITING = "waiting"
    DONE = "done"
    WARNED = "warned"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StepReport:
    """``seconds``: None if the log does not show when the step began. ``seq``: the number of its first line, or 0.

    ``title``, ``code`` and ``params`` as in ``StepView``.
    """

    key: str
    title: str
    mark: Mark
    seconds: float | None
    seq: int
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """``counts``: files, packages and scripts as ``{kind: (done, all)}``. Packages are counted by batch."""

    phase: Phase
    mark: Mark
    seconds: float | None
    seq: int
    counts: Mapping[str, tuple[int, int]]
    steps: tuple[StepReport, ...]


@dataclass(frozen=True, slots=True)
class JobReport:
    """``links``: guesses by port, not tested. ``credentials``: names of secrets that may be revealed.

    ``seconds``: the time worked on the job. ``tail``: the last output lines of the failed step. ``failed_seq``: the
    number of the error's line. ``ports``: those bound to more than loopback.
    """

    view: CreationView
    phases: tuple[PhaseReport, ...]
    seconds: float
    tail: tuple[str, ...]
    failed_seq: int
    ports: tuple[int, ...]
    links: tuple[str, ...]
    credentials: tuple[str, ...]


async def report(rt: Runtime, session: Session, job_id: UUID) -> JobReport:
    """Raises ``NotFoundError``."""
    view = await service.get_job(rt, session, job_id)
    if view.own and view.exists and view.state in FINISHED:
        lacked = await privileges.missing(rt, session, f"/vms/{view.vmid}", privileges.CONSOLE_PRIVILEGE)
        view = replace(view, may_console=lacked == "")
    async with rt.db.transaction() as tx:
        told = await tx.events.told(job_id)
        container = await tx.containers.get(view.container_id)
        kept = tx.containers.credentials(container) if view.exists else {}
        failed_seq = told[-1].seq if told and view.error else 0
        output = await tx.events.between(job_id, failed_seq - LOOKED_BACK_LINES, failed_seq)
    phases = phases_of(view, told, now())
    ports = tuple(found["port"] for found in container.services if found.get("kind") == "port" and found.get("public"))
    address = view.result.address if view.result else ""
    return JobReport(
        view=view,
        phases=phases,
        seconds=sum(phase.seconds or 0.0 for phase in phases),
        tail=_tail(view, output if view.error else (), failed_seq),
        failed_seq=failed_seq,
        ports=ports,
        links=tuple(links_of(address, ports)),
        credentials=(*([ROOT_PASSWORD] if _has_password(view) else []), *sorted(kept)),
    )


def _has_password(view: CreationView) -> bool:
    made = view.spec is not None and view.spec.password_mode is PasswordMode.GENERATED
    return made and view.exists and view.state is JobState.DONE


def links_of(address: str, ports: Sequence[int]) -> Iterator[str]:
    """Likely URLs of web pages, by well-known ports."""
    host = f"[{address}]" if ":" in address else address
    for port in ports if address else ():
        scheme = "https" if port in _HTTPS_PORTS else "http" if port in _HTTP_PORTS else ""
        usual = {"http": 80, "https": 443}.get(scheme)
        if scheme:
            yield f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def phases_of(view: CreationView, told: Sequence[JobEvent], at: datetime) -> tuple[PhaseReport, ...]:
    """All phases, done and to come. ``at``: now, for the duration of what still runs."""
    end = at if view.state in _GOES_ON else (told[-1].at if told else at)
    times = _phase_times(told, end)
    order = list(Phase)
    found = []
    for phase in order:
        mine = [step for step in view.steps if step.phase is phase]
        steps = tuple(_step(view, step, told, end) for step in mine)
        mark = _phase_mark(view, order.index(phase) - order.index(view.phase), begun=phase in times)
        if mark is Mark.DONE and any(step.mark is Mark.WARNED for step in steps):
            mark = Mark.WARNED
        seq = next((event.seq for event in told if event.step == phase.value), 0)
        found.append(PhaseReport(phase, mark, times.get(phase), seq, counts_of(mine), steps))
    return tuple(found)


def counts_of(steps: Sequence[StepView]) -> dict[str, tuple[int, int]]:
    """``{kind: (done, all)}`` for each kind among ``steps``."""
    kinds = {"files": FILE_STEP, "packages": PACKAGE_STEP, "scripts": SCRIPT_STEP}
    counts = {}
    for kind, prefix in kinds.items():
        mine = [step for step in steps if step.key.startswith(prefix)]
        if mine:
            counts[kind] = (sum(step.state is StepState.DONE for step in mine), len(mine))
    return counts


def _phase_mark(view: CreationView, distance: int, *, begun: bool) -> Mark:
    if view.state is JobState.DONE or distance < 0:
        return Mark.DONE
    if distance > 0:
        return Mark.TODO
    ends = {
        JobState.FAILED: Mark.FAILED,
        JobState.CANCELLED: Mark.STOPPED if begun else Mark.TODO,
        JobState.WAITING: Mark.WAITING,
        JobState.PAUSED: Mark.WAITING,
        JobState.QUEUED: Mark.WAITING if begun else Mark.TODO,
        JobState.CANCELLING: Mark.ACTIVE if begun else Mark.TODO,
    }
    return ends.get(view.state, Mark.ACTIVE)


def _phase_times(told: Sequence[JobEvent], end: datetime) -> dict[Phase, float]:
    """Seconds of work in each phase, without waits and without the time between a failure and its retry."""
    spent: dict[Phase, float] = {}
    for event, following in zip_longest(told, told[1:]):
        over = event.type in {EventType.ERROR, EventType.COMPLETE} or event.code in STANDSTILLS
        until = event.at if over else following.at if following is not None else end
        phase = Phase(event.step)
        spent[phase] = spent.get(phase, 0.0) + max(0.0, (until - event.at).total_seconds())
    return spent


def _step(view: CreationView, step: StepView, told: Sequence[JobEvent], end: datetime) -> StepReport:
    """Only steps in the guest have times, as their events name the step. Of other steps only the state is known."""
    begins = [index for index, event in enumerate(told) if _is_begin(event, step)]
    mark = _STEP_MARKS[step.state]
    if step.state is StepState.ACTIVE and view.state in {JobState.WAITING, JobState.PAUSED}:
        mark = Mark.WAITING
    if step.state is StepState.FAILED and view.state is JobState.CANCELLED:
        mark = Mark.STOPPED
    if not begins:
        return StepReport(step.key, step.title, mark, None, 0, step.code, step.params)
    begin = told[begins[-1]]
    rest = told[begins[-1] + 1 :]
    if step.state is StepState.DONE and any(e.type == EventType.WARNING and e.script == step.title for e in rest):
        mark = Mark.WARNED
    following = next((event for event in rest if event.script != step.title or event.type == EventType.ERROR), None)
    until = following.at if following is not None else end
    return StepReport(step.key, step.title, mark, max(0.0, (until - begin.at).total_seconds()), begin.seq)


def _is_begin(event: JobEvent, step: StepView) -> bool:
    return bool(event.script) and event.script == step.title and event.type == EventType.STEP


def _tail(view: CreationView, output: Sequence[JobEvent], failed_seq: int) -> tuple[str, ...]:
    """The last output lines of the failed step, as in the log."""
    if view.error is None:
        return ()
    printed = [line for line in lines_of(output, 1, failed_seq) if line.type == EventType.LOG]
    mine = [line for line in printed if line.script == view.error.step] or printed
    of_phase = [plain(line.text) for line in mine if line.phase == view.error.phase]
    return tuple(of_phase[-TAIL_LINES:]) or view.error.tail[-TAIL_LINES:]


_STEP_MARKS: Final = {
    StepState.WAITING: Mark.TODO,
    StepState.ACTIVE: Mark.ACTIVE,
    StepState.DONE: Mark.DONE,
    StepState.FAILED: Mark.FAILED,
}
