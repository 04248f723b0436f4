"""The end of a job is written once, even if the answer is lost. Passwords and rows no longer needed are deleted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Job, JobState
from lxc_dashboard.errors import LeaseGoneError, ServiceUnavailableError
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.kind import CREATION
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine import ending
from lxc_dashboard.services.jobs.engine.ending import Ending
from lxc_dashboard.services.jobs.engine.recorder import LeaseLostError
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.kinds import Left
from tests.unit.services.creation.doubles import Saying, always, database
from tests.unit.services.creation.wish import SPEC

GIVEN = replace(SPEC, password_mode=PasswordMode.GIVEN)
NAMED = SimpleNamespace(vmid=101, hostname="web", name="pve")


def job(state: JobState = JobState.RUNNING) -> Job:
    return Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        id=uuid4(),
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        state=state,
        params=GIVEN.to_json(),
    )


def telling() -> Any:
    return SimpleNamespace(
        checkpoint=Checkpoint(done=[CREATE]),
        step="syncing",
        owner="me",
        append_rest=always([]),
        flush=always(None),
        close=always(None),
        pass_on=Saying(None),
        tell_message=lambda *_: None,
    )


def dashboard(creation: Job, finish: Saying) -> Any:
    containers = SimpleNamespace(
        set_lifecycle=always(None),
        add_event=always(None),
        get=always(NAMED),
        set_root_password=Saying(None),
        mark_deleted=Saying(None),
    )
    jobs = SimpleNamespace(finish=finish, get=always(creation))
    audit, nodes = SimpleNamespace(append=always(None)), SimpleNamespace(get=always(NAMED))
    return SimpleNamespace(
        db=database(jobs=jobs, containers=containers, audit=audit, nodes=nodes), containers=containers
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN_AFTER_S", 0.0)


@pytest.mark.parametrize(("remains", "forgotten", "gone"), [(True, 1, 0), (False, 0, 1)])
async def test_a_cancelled_run_keeps_no_password_that_was_given_and_no_container_that_is_not_there(
    remains: bool, forgotten: int, gone: int
) -> None:
    creation, recorder = job(), telling()
    rt = dashboard(creation, Saying(creation))
    await Ending(CREATION, rt, creation, recorder).cancelled(Left(remains))
    assert (rt.containers.set_root_password.calls, rt.containers.mark_deleted.calls) == (forgotten, gone)
    assert recorder.pass_on.calls == 1


async def test_an_end_that_cannot_be_written_yet_is_written_later() -> None:
    creation, recorder = job(), telling()
    finish = Saying(ServiceUnavailableError("away"), creation)
    await Ending(CREATION, dashboard(creation, finish), creation, recorder).failed(KeyError())
    assert (finish.calls, recorder.pass_on.calls) == (2, 1)


async def test_an_end_whose_answer_was_lost_stands_and_is_not_told_again() -> None:
    creation, recorder = job(JobState.FAILED), telling()
    finish = Saying(ServiceUnavailableError("away"), LeaseGoneError())
    await Ending(CREATION, dashboard(creation, finish), creation, recorder).failed(KeyError())
    assert recorder.pass_on.calls == 0


async def test_a_run_that_another_worker_has_is_not_ended() -> None:
    creation, recorder = job(JobState.RUNNING), telling()
    with pytest.raises(LeaseLostError):
        await Ending(CREATION, dashboard(creation, Saying(LeaseGoneError())), creation, recorder).failed(KeyError())
    assert recorder.pass_on.calls == 0
