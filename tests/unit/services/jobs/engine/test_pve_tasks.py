"""A PVE task is started once, even if the answer is lost. Also how its end is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ApiError, TaskCancelledError, TaskFailedError, UnreachableError
from lxc_dashboard.proxmox.schemas import TaskInfo
from lxc_dashboard.proxmox.tasks import TaskResult
from lxc_dashboard.services.jobs.engine import pve_tasks
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, ended_unseen, run_task, stop_task
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.settings import Timing
from tests.unit.services.creation.doubles import Saying, always

NAME = "start.container"
LOST = UnreachableError("pve1 cannot be reached")
REFUSED = ApiError(500, "CT is locked (backup)")
DONE = TaskResult("U", "OK", 0)


def task(upid: str, starttime: int = 1, user: str = "root@pam") -> TaskInfo:
    return TaskInfo(upid, type="vzstart", id="101", user=user, starttime=starttime)


def run(listed: Saying, wait: object = DONE, *, timing: Timing | None = None, **checkpoint: Any) -> Any:
    """``listed``: PVE's list of tasks at each query."""
    return SimpleNamespace(
        rt=SimpleNamespace(timing=timing or Timing()),
        job_id=uuid4(),
        userid="root@pam",
        checkpoint=Checkpoint(**checkpoint),
        recorder=SimpleNamespace(flush=always(None)),
        client=SimpleNamespace(tasks=SimpleNamespace(list=listed, wait=always(wait))),
    )


def step(post: Saying) -> PveStep:
    return PveStep(NAME, "vzstart", "101", "pve1", 60.0, post)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pve_tasks, "_LOOK_EVERY_S", 0.0)


async def test_a_task_whose_answer_was_lost_is_found_once_it_shows_and_not_begun_again() -> None:
    before, ours, others = task("U1"), task("U2", 3), task("U3", 4, "ann@pve")
    post, job = Saying(LOST), run(Saying([before], [before, others], [before, others, ours]))
    assert await run_task(job, step(post)) == DONE
    assert (post.calls, job.checkpoint.upid) == (1, {NAME: "U2"})


async def test_where_no_task_shows_the_lost_answer_is_told() -> None:
    job = run(Saying([]), timing=Timing(find_task_within_s=0))
    with pytest.raises(UnreachableError):
        await run_task(job, step(Saying(LOST)))
    assert job.checkpoint.upid == {}


async def test_what_pve_refuses_is_told_unless_an_earlier_try_has_begun_it() -> None:
    with pytest.raises(ApiError, match="is locked"):
        await run_task(run(Saying([])), step(Saying(REFUSED)))
    job = run(Saying([], [task("U1")]))
    assert await run_task(job, step(Saying(REFUSED))) == DONE
    assert job.checkpoint.upid == {NAME: "U1"}


async def test_a_later_worker_adopts_the_task_that_the_first_one_began() -> None:
    post, job = Saying("U9"), run(Saying([task("U1"), task("U2", 2)]), intent={NAME: ["U1"]})
    assert await run_task(job, step(post)) == DONE
    assert (post.calls, job.checkpoint.upid) == (0, {NAME: "U2"})


async def test_a_later_worker_begins_what_the_first_one_did_not() -> None:
    timing = Timing(find_task_again_within_s=0)
    post, job = Saying("U9"), run(Saying([task("U1")]), timing=timing, intent={NAME: ["U1"]})
    await run_task(job, step(post))
    assert (post.calls, job.checkpoint.upid) == (1, {NAME: "U9"})


@pytest.mark.parametrize(
    ("said", "raised", "failed"),
    [
        (ApiError(404, "no such task"), TaskFailedError, NAME),
        (TaskFailedError("U", "exit code 1"), TaskFailedError, NAME),
        (REFUSED, ApiError, ""),
    ],
)
async def test_a_task_that_is_over_or_forgotten_is_begun_anew_by_a_retry_and_another_is_adopted(
    said: Exception, raised: type[Exception], failed: str
) -> None:
    job = run(Saying([]), said, upid={NAME: "U"})
    with pytest.raises(raised):
        await run_task(job, step(Saying("U9")))
    assert job.checkpoint.failed == failed


@pytest.mark.parametrize(
    ("exitstatus", "unseen"),
    [("", True), ("unexpected status", True), ("unable to read tail (got 0 bytes)", True), ("exit code 1", False)],
)
def test_only_a_task_that_pve_has_lost_may_have_done_its_work(exitstatus: str, unseen: bool) -> None:
    assert ended_unseen(TaskFailedError("U", exitstatus)) is unseen


async def test_a_task_that_goes_on_though_it_was_to_end_is_owed() -> None:
    with pytest.raises(TimeoutError, match="U goes on"):
        await stop_task(run(Saying([]), TaskCancelledError("U"), upid={NAME: "U"}), step(Saying("")))
    stopped = run(Saying([]), TaskCancelledError("U", "received interrupt"), upid={NAME: "U"})
    assert await stop_task(stopped, step(Saying(""))) == "received interrupt"


async def test_a_task_that_was_never_begun_needs_no_end() -> None:
    job = run(Saying([]), AssertionError("PVE was asked"))
    assert await stop_task(job, step(Saying(""))) == ""
    assert job.checkpoint.begun == {}
