"""Kinds of jobs that are one function: an act on a guest that PVE does as a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import DashboardError, NotFoundError
from lxc_dashboard.proxmox.schemas.tasks import is_success
from lxc_dashboard.services.jobs import identity
from lxc_dashboard.services.jobs.codes import EventCode, JobCode, Message
from lxc_dashboard.services.jobs.engine import ticket
from lxc_dashboard.services.jobs.engine.pve_tasks import (
    TASK,
    TASK_DEADLINE_S,
    PveStep,
    noted_step,
    run_noted,
    stop_task,
)
from lxc_dashboard.services.jobs.engine.run import Guest, Run, find_guest
from lxc_dashboard.services.jobs.kinds import End, Kind, Left, Step, register

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.proxmox.tasks import TaskResult
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

log = structlog.get_logger(__name__)
P = TypeVar("P", bound=msgspec.Struct)

RESULT: Final = "result"


class ActCode(EventCode):
    """How a cancelled act ended, and what became of its task in PVE."""

    CANCELLED = "act.cancelled"
    TASK_STOPPED = "act.cancelled.task_stopped"
    TASK_HAD_ENDED = "act.cancelled.task_had_ended"
    TASK_MAY_GO_ON = "act.cancelled.task_may_go_on"
    WITHOUT_PVE = "act.cancelled.without_pve"


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of an act that needs only its guest."""


@dataclass
class ActRun(Run):
    """The run of an act. ``params`` are those of its request."""

    params: Any

    async def pve_task(self, name: str, task_type: str, post: Callable[[], Awaitable[str]]) -> TaskResult:
        """Start a task in PVE and wait for its end. Its log becomes events. A task that was started before is adopted.

        ``task_type``: PVE's name for it, such as ``vzstart``. Raises what the POST raises, and ``TaskFailedError``.
        """
        noted = noted_step(self)  # a task stays on the node that started it, also when the guest has moved
        node = noted.node if noted is not None else self.guest.node
        return await run_noted(self, PveStep(name, task_type, str(self.guest.vmid), node, TASK_DEADLINE_S, post))


Work = Callable[[ActRun, P], Awaitable[Message]]
Refuse = Callable[["Runtime", "Session", Guest, P], Awaitable[None]]


class Act(Kind[ActRun]):
    """A kind of job that is one function.

    ``needs``: the privileges that PVE requires at ``path``.
    ``at``: method and path in the HTTP API, below the container. ``{name}`` in the path is the field of ``params``.
    ``locks_guest``: no other act may work on the guest at the same time.
    """

    patience_s = 15.0
    locks_guest = True

    def __init__(
        self,
        name: str,
        begins: EventCode,
        needs: tuple[str, ...],
        params: type[msgspec.Struct],
        work: Work[Any],
        *,
        at: str = "",
        refuse: Refuse[Any] | None = None,
    ) -> None:
        self.name = self.action = name
        self.method, _, self.route = at.partition(" /")
        self.needs = needs
        self.params = params
        self.refuse = refuse
        self._work = work
        self.steps = (Step(name.rpartition(".")[2], self._do, begins),)

    def path(self, guest: Guest, params: msgspec.Struct) -> str:
        """The path at which PVE requires the act's privileges."""
        del params
        return f"/vms/{guest.vmid}"

    async def open(self, rt: Runtime, job: Job, recorder: Recorder) -> ActRun:
        client = await ticket.client_of(rt, job, recorder.owner)
        return ActRun(
            rt=rt,
            job_id=job.id,
            userid=job.userid,
            endpoint_id=job.endpoint_id,
            endpoint_name=client.endpoint.name,
            guest=Guest(job.vmid, job.node, name=job.name, container_id=job.container_id),
            client=client,
            recorder=recorder,
            params=msgspec.convert(job.params, self.params),
        )

    async def locate(self, run: ActRun) -> None:
        """Find the guest, and check by its mark that it is not a later one with the same vmid.

        Raises ``NotFoundError`` if PVE shows the user no such container, or another one.
        """
        guest, facts = run.guest, run.checkpoint.facts
        found, mark = await asyncio.gather(
            find_guest(run.client, guest.vmid), identity.read(run.client, guest.vmid, guest.node)
        )
        if found.node != guest.node:
            guest.node = found.node
            mark = await identity.read(run.client, guest.vmid, guest.node)
        if mark and not set(mark) & set(facts.setdefault(identity.MARK, mark)):
            raise NotFoundError(Message.of(JobCode.ANOTHER_GUEST, vmid=guest.vmid))
        guest.seen()

    async def stop(self, run: ActRun) -> Left:
        """Stop the act's task in PVE."""
        step = noted_step(run)
        if step is None:
            return Left()
        try:
            exitstatus = await stop_task(run, step)
        except TimeoutError:
            return Left(note=ActCode.TASK_MAY_GO_ON)
        if not exitstatus:
            return Left()
        return Left(note=ActCode.TASK_HAD_ENDED if is_success(exitstatus) else ActCode.TASK_STOPPED)

    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        return Left(reason=error.reason) if TASK in recorder.checkpoint.facts else Left()

    async def explain(self, run: ActRun | None, recorder: Recorder, error: BaseException) -> tuple[BaseException, bool]:
        del run, recorder
        return error, True

    def done(self, run: ActRun) -> End:
        result = run.checkpoint.facts[RESULT]
        return End(JobState.DONE, Message.from_json(result), result)

    def cancelled(self, by: str, recorder: Recorder, left: Left) -> Message:
        del recorder
        if left.reason:
            return Message.of(ActCode.WITHOUT_PVE, by=by, reason=left.reason)
        return Message.of(left.note or ActCode.CANCELLED, by=by)

    async def record(self, tx: Transaction, job: Job, end: End, run: ActRun | None, recorder: Recorder) -> None:
        del run, recorder
        if job.container_id is not None:
            kind = self.name.rpartition(".")[2] if end.state is JobState.DONE else f"{self.name}-{end.state.value}"
            by = job.cancelled_by or job.userid
            await tx.containers.add_event(job.container_id, kind, "", userid=by, detail=end.message.to_json())

    async def _do(self, run: ActRun) -> None:
        run.checkpoint.facts[RESULT] = (await self._work(run, run.params)).to_json()


ACTS: Final[dict[str, Act]] = {}


def act(
    name: str,
    *,
    begins: EventCode,
    needs: tuple[str, ...],
    at: str,
    params: type[msgspec.Struct] = NoParams,
    refuse: Refuse[Any] | None = None,
    of: type[Act] | None = None,
) -> Callable[[Work[Any]], Act]:
    """Register a function as a kind of job. The function returns the message for the user at the end.

    ``begins``: the event at its start. ``at``: its route, such as ``POST /snapshots/{name}/rollback``.
    ``refuse``: raises the error of a request that cannot succeed. ``of``: the class of the act. A worker may start it again at any time, from the checkpoint that it reached.
    """

    def made(work: Work[Any]) -> Act:
        found = (of or Act)(name, begins, needs, params, work, at=at, refuse=refuse)
        register(found)
        ACTS[name] = found
        return found

    return made


def params_of(found: Act, values: Mapping[str, Any]) -> msgspec.Struct:
    """Raises ``msgspec.ValidationError``."""
    return msgspec.convert(values, found.params)
