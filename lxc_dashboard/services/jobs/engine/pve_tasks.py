"""A PVE task as a step of a job: started once, and found again if the answer or the worker was lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import (
    ApiError,
    TaskCancelledError,
    TaskFailedError,
    TaskTimeoutError,
    UnreachableError,
)
from lxc_dashboard.proxmox.schemas import LogLine
from lxc_dashboard.proxmox.tasks import is_forgotten
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.engine.run import Run

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import TaskInfo
    from lxc_dashboard.proxmox.tasks import TaskResult

log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 0.5
# A key of ``Checkpoint.facts``: the act's present task in PVE, as the first fields of its ``PveStep``.
TASK: Final = "task"
TASK_DEADLINE_S: Final = 12 * 3600.0
# How PVE reports the end of a task whose node was restarted in the middle.
_ENDS_UNSEEN: Final = re.compile(r"unexpected status|unable to read tail")


@dataclass(frozen=True, slots=True)
class PveStep:
    """``kind`` and ``task_id`` are the task's as PVE names them: vzcreate and the vmid, download and the file.

    ``share``: the progress, from 0 to 1, that log lines show.
    """

    name: str
    kind: str
    task_id: str
    node: str
    deadline_s: float
    post: Callable[[], Awaitable[str]]
    share: Callable[[Sequence[str]], float] | None = None


async def run_task(run: Run, step: PveStep) -> TaskResult:
    """Start the task, or adopt it if it was started before, and wait for its end. Its log becomes events.

    Raises what the POST raises, ``TaskFailedError`` (also for a task that PVE has forgotten), ``TaskTimeoutError``.
    """
    checkpoint = run.checkpoint
    upid = checkpoint.upid.get(step.name) or await _begin(run, step)

    async def tell(lines: Sequence[LogLine]) -> None:
        checkpoint.lines[step.name] = lines[-1].n
        texts = [line.t for line in lines]
        if step.share is not None:
            run.reach(step.share(texts))
        await run.recorder.log(texts)

    try:
        return await run.client.tasks.wait(
            upid,
            on_lines=tell,
            on_silence=lambda error: _tell_silence(run, step, error),
            first_line=checkpoint.lines.get(step.name, 0),
            deadline_s=step.deadline_s,
            stop_on_cancellation=False,  # ``stop_task`` does that; a worker that ends leaves the task to the next one
        )
    except (TaskFailedError, TaskTimeoutError):
        checkpoint.failed = step.name  # the task is over: a retry starts another one
        raise
    except ApiError as error:
        if not is_forgotten(error):
            raise
        checkpoint.failed = step.name
        raise TaskFailedError(upid, "", node=error.node) from error


async def run_noted(run: Run, step: PveStep) -> TaskResult:
    """``run_task``, with the task noted in the checkpoint for a cancel to stop (``noted_step``)."""
    checkpoint = run.checkpoint
    checkpoint.facts[TASK] = [step.name, step.kind, step.task_id, step.node]
    checkpoint.active = step.name
    result = await run_task(run, step)
    checkpoint.mark_done(step.name)
    return result


def noted_step(run: Run) -> PveStep | None:
    """The task that ``run_noted`` started last, for a cancel to stop; None if there was none."""
    if TASK not in run.checkpoint.facts:
        return None
    name, kind, task_id, node = run.checkpoint.facts[TASK]
    return PveStep(name, kind, task_id, node, TASK_DEADLINE_S, _never)


async def _never() -> str:
    raise AssertionError("a task that is to be stopped is not begun")


def ended_unseen(error: TaskFailedError) -> bool:
    """Whether PVE does not know how the task ended, so that it may have done its work."""
    return not error.exitstatus or _ENDS_UNSEEN.match(error.exitstatus) is not None


def _tell_silence(run: Run, step: PveStep, error: UnreachableError) -> None:
    """Warn once per step that PVE does not answer, so that users do not take the silence for work."""
    run.tell_once(f"{step.name}:silence", JobCode.TASK_AWAITED, EventType.WARNING, reason=error.reason)


async def _begin(run: Run, step: PveStep) -> str:
    checkpoint = run.checkpoint
    known = checkpoint.intent.get(step.name)
    if known is None:
        known = [task.upid for task in await _tasks(run, step)]
        checkpoint.intent[step.name] = known
        await run.recorder.flush()  # before the POST: the next worker must know that it may have been sent
        upid = None
    else:
        upid = await _look(run, step, known, run.rt.timing.find_task_again_within_s)
    if upid is None:
        upid = await _post(run, step, known)
    checkpoint.begin(step.name, upid)
    await run.recorder.flush()
    return upid


async def _post(run: Run, step: PveStep, known: Sequence[str]) -> str:
    try:
        return await step.post()
    except (UnreachableError, ApiError) as error:
        # PVE may have started the task although its answer was lost, now or at an earlier try.
        within_s = run.rt.timing.find_task_within_s if isinstance(error, UnreachableError) else 0.0
        upid = await _look(run, step, known, within_s)
        if upid is None:
            raise
        log.info("task adopted", job_id=str(run.job_id), upid=upid)
        return upid


async def _look(run: Run, step: PveStep, known: Sequence[str], for_s: float) -> str | None:
    """The task that our POST has started; None if none appears within ``for_s`` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + for_s
    while True:
        new = [task for task in await _tasks(run, step) if task.upid not in known]
        if new:
            return max(new, key=lambda task: task.starttime).upid
        if loop.time() >= until:
            return None
        await asyncio.sleep(_LOOK_EVERY_S)


async def _tasks(run: Run, step: PveStep) -> list[TaskInfo]:
    """The user's own tasks of this kind and object, on the node."""
    vmid = int(step.task_id) if step.task_id.isdecimal() else None
    found = await run.client.tasks.list(step.node, vmid=vmid, typefilter=step.kind, limit=100)
    return [task for task in found if task.type == step.kind and task.id == step.task_id and task.is_of(run.userid)]


async def stop_task(run: Run, step: PveStep) -> str:
    """Stop the step's task if it runs. Returns its exit status, or "" if there is no task.

    Raises the errors of PVE, and ``TimeoutError`` if the task goes on.
    """
    upid = run.checkpoint.upid.get(step.name)
    if upid is None and step.name in run.checkpoint.intent:
        upid = await _look(run, step, run.checkpoint.intent[step.name], run.rt.timing.find_task_within_s)
    if upid is None:
        return ""
    run.checkpoint.begin(step.name, upid)
    asked = asyncio.Event()
    asked.set()
    try:
        result = await run.client.tasks.wait(upid, cancel=asked)
    except TaskCancelledError as error:
        if not error.exitstatus:
            raise TimeoutError(f"{upid} goes on") from error
        return error.exitstatus
    return result.exitstatus
