"""Kinds of jobs that are one function: an act on a guest that PVE does as a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import DashboardError, NotFoundError
from lxc_dashboard.proxmox.schemas.tasks import is_success
from lxc_dashboard.services.jobs import ticket
from lxc_dashboard.services.jobs.kinds import End, Kind, Left, Step, register
from lxc_dashboard.services.jobs.pve_tasks import TASK, TASK_DEADLINE_S, PveStep, noted_step, run_noted, stop_task
from lxc_dashboard.services.jobs.run import Guest, Run

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.proxmox.tasks import TaskResult
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.recorder import Recorder

log = structlog.get_logger(__name__)
P = TypeVar("P", bound=msgspec.Struct)

RESULT: Final = "message"
STOPPED: Final = "its task in PVE was stopped"
HAD_ENDED: Final = "its task in PVE had already ended"
MAY_GO_ON: Final = "its task in PVE could not be stopped and may go on"


class NoParams(msgspec.Struct, frozen=True):
    """Of an act that needs nothing but its guest."""


@dataclass
class ActRun(Run):
    """The run of an act. ``params`` are those of its request."""

    params: Any

    async def pve_task(self, name: str, task_type: str, post: Callable[[], Awaitable[str]]) -> TaskResult:
        """Have PVE do it and wait for its end, its log told on the way; adopted where it was begun before.

        ``task_type``: as PVE names the task, such as ``vzstart``. Raises what the POST raises, ``TaskFailedError``.
        """
        guest = self.guest
        return await run_noted(self, PveStep(name, task_type, str(guest.vmid), guest.node, TASK_DEADLINE_S, post))


Work = Callable[[ActRun, P], Awaitable[str]]


class Act(Kind[ActRun]):
    """``needs``: the privileges that PVE asks for at ``path``. ``locks_guest``: no other act works on its guest meanwhile."""

    patience_s = 15.0
    locks_guest = True

    def __init__(
        self, name: str, title: str, needs: tuple[str, ...], params: type[msgspec.Struct], work: Work[Any]
    ) -> None:
        self.name = self.action = name
        self.needs = needs
        self.params = params
        self._work = work
        self.steps = (Step(name.rpartition(".")[2], self._do, title),)

    def path(self, guest: Guest, params: msgspec.Struct) -> str:
        """Where PVE asks for the act's privileges."""
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
        """``GET /cluster/resources``. Raises ``NotFoundError`` where PVE shows the user no such container."""
        found = await run.client.cluster.find_guest(run.guest.vmid)
        if found is None or found.type != "lxc":
            raise NotFoundError(f"There is no CT {run.guest.vmid}, or you may not see it")
        run.guest.node = found.node
        run.guest.seen()

    async def stop(self, run: ActRun) -> Left:
        """Stop the act's task in PVE."""
        step = noted_step(run)
        if step is None:
            return Left()
        try:
            exitstatus = await stop_task(run, step)
        except TimeoutError:
            return Left(note=MAY_GO_ON)
        if not exitstatus:
            return Left()
        return Left(note=HAD_ENDED if is_success(exitstatus) else STOPPED)

    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        may_run = TASK in recorder.checkpoint.facts
        return Left(note=f"{MAY_GO_ON} ({error.user_message})" if may_run else "")

    async def explain(self, run: ActRun | None, recorder: Recorder, error: BaseException) -> tuple[BaseException, bool]:
        del run, recorder
        return error, True

    def done(self, run: ActRun) -> End:
        message = run.checkpoint.facts[RESULT]
        return End(JobState.DONE, message, {"message": message})

    def cancelled(self, by: str, recorder: Recorder, left: Left) -> str:
        del recorder
        return f"Cancelled by {by}: {left.note}" if left.note else f"Cancelled by {by}"

    async def record(self, tx: Transaction, job: Job, end: End, run: ActRun | None, recorder: Recorder) -> None:
        del run, recorder
        if job.container_id is not None:
            kind = self.name.rpartition(".")[2] if end.state is JobState.DONE else f"{self.name}-{end.state.value}"
            await tx.containers.add_event(job.container_id, kind, end.message, userid=job.cancelled_by or job.userid)

    async def _do(self, run: ActRun) -> None:
        run.checkpoint.facts[RESULT] = await self._work(run, run.params)


ACTS: Final[dict[str, Act]] = {}


def act(
    name: str, *, title: str, needs: tuple[str, ...], params: type[msgspec.Struct] = NoParams
) -> Callable[[Work[Any]], Act]:
    """Register a function as a kind of job. It returns what to tell the user at the end ("Started CT 101 web").

    It may be begun again at any time, with the checkpoint that it had reached.
    """

    def made(work: Work[Any]) -> Act:
        found = Act(name, title, needs, params, work)
        register(found)
        ACTS[name] = found
        return found

    return made


def params_of(found: Act, values: Mapping[str, Any]) -> msgspec.Struct:
    """Raises ``msgspec.ValidationError``."""
    return msgspec.convert(values, found.params)
