"""Creates whose end or answer was lost: the job continues with the container that PVE created."""

from __future__ import annotations

import pytest

from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.kind import CREATION
from tests.integration.creation.conftest import Lab
from tests.integration.creation.other_pve import Answer, Change, OtherPve
from tests.worded import cause, remedy


def forgotten(kind: str) -> Change:
    """The node lost its task logs in a restart, and with them the tasks of this kind."""

    def change(answer: Answer) -> None:
        if "/tasks/UPID" not in answer.path or f":{kind}:" not in answer.path:
            return
        if answer.path.endswith("/status"):
            answer.status, answer.reason = 400, "Parameter verification failed."
            answer.body = {"data": None, "message": answer.reason, "errors": {"upid": "no such task"}}
        else:
            answer.body = {"data": [{"n": 1, "t": "unable to open file - No such file or directory"}], "total": 1}

    return change


def unseen(answer: Answer) -> None:
    """The node was restarted while the task of a create ended."""
    if ":vzcreate:" in answer.path and answer.path.endswith("/status"):
        answer.body["data"]["exitstatus"] = "unexpected status"


@pytest.mark.parametrize(
    "end", [forgotten("vzcreate"), unseen, forgotten("vzstart")], ids=["create", "unseen", "start"]
)
async def test_what_a_task_has_done_is_gone_on_with(lab: Lab, other: OtherPve, end: Change) -> None:
    other.changes += [end, held_until_ended(lab)]
    job_id = await lab.request(None)
    job = await lab.finish(job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert [call for call in other.asked if call == "POST /nodes/pve1/lxc"] == ["POST /nodes/pve1/lxc"]


def held_until_ended(lab: Lab) -> Change:
    """PVE does not answer for a task until it has ended, even on a slow machine."""

    def change(answer: Answer) -> None:
        upid = answer.path.split("/")[4] if "/tasks/UPID" in answer.path else ""
        if upid and lab.sandbox.api.tasks[upid]["status"] == "running":
            answer.status, answer.reason, answer.body = 595, "Connection refused", None

    return change


async def test_a_retry_finds_what_was_made_while_pve_was_away(
    lab: Lab, other: OtherPve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CREATION, "patience_s", 0.0)
    is_away = False

    def away(answer: Answer) -> None:
        nonlocal is_away
        is_away = is_away or (answer.method == "POST" and answer.path.endswith("/lxc"))
        if is_away:
            answer.status, answer.reason, answer.body = 595, "Connection refused", None

    other.changes.append(away)
    job_id = await lab.request(None)
    job = await lab.finish(job_id, state=JobState.FAILED)
    other.changes.clear()
    await service.retry(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert [event for event in await lab.events(job_id) if event.type is EventType.ERROR][1:] == []


async def test_what_a_killed_create_has_left_is_named_to_whoever_retries(lab: Lab, other: OtherPve) -> None:
    lab.sandbox.hang_task("vzcreate")
    job_id = await lab.request(None)
    work = lab.work(job_id)
    await lab.until(lambda: any(":vzcreate:" in call for call in other.asked), "the task is waited for")
    other.changes.append(forgotten("vzcreate"))
    await work
    failed = await lab.finish(job_id, state=JobState.FAILED)
    assert failed.error
    assert cause(failed.error) == "PVE no longer knows this task"
    await service.retry(lab.rt, lab.session, job_id)
    failed = await lab.finish(job_id, state=JobState.FAILED)
    assert failed.error
    assert cause(failed.error) == f"CT {failed.vmid} already exists on node 'pve1'"
    assert remedy(failed.error).startswith("An earlier try of this job has left something of it: destroy that")
