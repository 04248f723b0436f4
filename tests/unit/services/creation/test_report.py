"""The report of a job: the state and duration of each step, and the links to open in a browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from lxc_dashboard.db.models import (
    CREATE_KIND,
    Container,
    EventType,
    Job,
    JobEvent,
    JobState,
    Phase,
    ProxmoxNode,
    new_id,
)
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.report import Mark, PhaseReport, counts_of, links_of, phases_of, report
from lxc_dashboard.services.creation.views import CreationView, StepState, StepView
from tests.unit.services.creation.doubles import always, database
from tests.unit.services.creation.wish import SPEC

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREATE = StepView("create.container", Phase.CREATING, "Create", StepState.DONE)
FILE = StepView("deploy.file.motd", Phase.DEPLOYING, "/etc/motd", StepState.DONE)


def script(name: str, state: StepState) -> StepView:
    return StepView(f"script.001.{name}", Phase.SYNCING, name, state)


def view_of(state: JobState, phase: Phase, *steps: StepView) -> CreationView:
    return CreationView(
        id=new_id(),
        endpoint_id=new_id(),
        container_id=new_id(),
        vmid=101,
        node="pve1",
        kind=CREATE_KIND,
        name="web-01",
        template="nginx-web r7",
        userid="root@pam",
        state=state,
        step=phase.value,
        percent=50,
        created_at=BEGIN,
        started_at=BEGIN,
        finished_at=None,
        steps=steps,
    )


def told(*events: tuple[float, Phase, str, dict[str, Any]]) -> list[JobEvent]:
    """Each event is ``(seconds since the start, phase, message, other fields)``."""
    run = new_id()
    return [
        JobEvent(
            job_id=run,
            seq=seq,
            step=phase.value,
            percent=1,
            message=message,
            at=BEGIN + timedelta(seconds=at),
            **{"type": EventType.STEP.value, **more},
        )
        for seq, (at, phase, message, more) in enumerate(events, 1)
    ]


def report_of(view: CreationView, events: list[JobEvent], at_s: float = 100) -> dict[Phase, PhaseReport]:
    return {phase.phase: phase for phase in phases_of(view, events, BEGIN + timedelta(seconds=at_s))}


def test_a_job_that_waits_for_a_worker_has_every_phase_to_come() -> None:
    found = report_of(view_of(JobState.QUEUED, Phase.CREATING), [])
    assert {phase.mark for phase in found.values()} == {Mark.TODO}
    assert {phase.seconds for phase in found.values()} == {None}


def test_what_runs_counts_on_and_what_is_over_has_its_time() -> None:
    events = told(
        (0, Phase.CREATING, "Creating the container", {}),
        (12, Phase.STARTING, "Starting the container", {}),
        (16, Phase.SYNCING, "Installing", {}),
        (20, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}),
        (50, Phase.SYNCING, "Running 20-b.sh", {"script": "20-b.sh"}),
    )
    view = view_of(
        JobState.RUNNING,
        Phase.SYNCING,
        CREATE,
        script("10-a.sh", StepState.DONE),
        script("20-b.sh", StepState.ACTIVE),
    )
    found = report_of(view, events, at_s=90)
    assert [found[phase].mark for phase in Phase] == [Mark.DONE, Mark.DONE, Mark.DONE, Mark.ACTIVE, Mark.TODO]
    assert [found[phase].seconds for phase in Phase] == [12, 4, None, 74, None]
    assert [(step.mark, step.seconds, step.seq) for step in found[Phase.SYNCING].steps] == [
        (Mark.DONE, 30, 4),
        (Mark.ACTIVE, 40, 5),
    ]


def test_the_time_between_a_failure_and_its_retry_counts_for_nothing() -> None:
    events = told(
        (0, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}),
        (5, Phase.SYNCING, "10-a.sh ended with status 1", {"type": "error"}),
        (3605, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}),
    )
    view = view_of(JobState.RUNNING, Phase.SYNCING, script("10-a.sh", StepState.ACTIVE))
    found = report_of(view, events, at_s=3615)[Phase.SYNCING]
    assert found.seconds == 15
    assert found.steps[0].seconds == 10
    assert found.steps[0].seq == 3


def test_a_failed_step_marks_itself_and_its_phase() -> None:
    events = told(
        (0, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}),
        (7, Phase.SYNCING, "10-a.sh ended with status 1", {"type": "error"}),
    )
    found = report_of(view_of(JobState.FAILED, Phase.SYNCING, script("10-a.sh", StepState.FAILED)), events)
    assert (found[Phase.SYNCING].mark, found[Phase.FINALIZING].mark) == (Mark.FAILED, Mark.TODO)
    assert (found[Phase.SYNCING].steps[0].mark, found[Phase.SYNCING].steps[0].seconds) == (Mark.FAILED, 7)


def test_an_optional_script_that_failed_is_done_with_a_warning() -> None:
    events = told(
        (0, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}),
        (1, Phase.SYNCING, "It is optional", {"script": "10-a.sh", "type": "warning"}),
        (2, Phase.FINALIZING, "Finishing", {}),
    )
    found = report_of(view_of(JobState.DONE, Phase.FINALIZING, script("10-a.sh", StepState.DONE)), events)
    assert found[Phase.SYNCING].mark is Mark.WARNED
    assert found[Phase.SYNCING].steps[0].mark is Mark.WARNED
    assert found[Phase.FINALIZING].mark is Mark.DONE


@pytest.mark.parametrize(("state", "mark"), [(JobState.CANCELLED, Mark.STOPPED), (JobState.WAITING, Mark.WAITING)])
def test_what_was_stopped_or_waits_says_so(state: JobState, mark: Mark) -> None:
    step = StepState.FAILED if state is JobState.CANCELLED else StepState.ACTIVE
    events = told((0, Phase.SYNCING, "Running 10-a.sh", {"script": "10-a.sh"}))
    found = report_of(view_of(state, Phase.SYNCING, script("10-a.sh", step)), events)
    assert (found[Phase.SYNCING].mark, found[Phase.SYNCING].steps[0].mark) == (mark, mark)


def test_files_packages_and_scripts_are_counted() -> None:
    packages = StepView("packages.apt", Phase.SYNCING, "packages-apt", StepState.ACTIVE)
    assert counts_of([FILE]) == {"files": (1, 1)}
    assert counts_of([packages, script("10-a.sh", StepState.WAITING)]) == {"packages": (0, 1), "scripts": (0, 1)}
    assert counts_of([CREATE]) == {}


def test_links_go_by_the_usual_ports() -> None:
    assert list(links_of("10.0.0.5", (22, 80, 443, 8080, 5432))) == [
        "http://10.0.0.5",
        "https://10.0.0.5",
        "http://10.0.0.5:8080",
    ]
    assert list(links_of("fd00::5", (8443,))) == ["https://[fd00::5]:8443"]
    assert list(links_of("", (80,))) == []


async def _not_registered(_: UUID) -> ProxmoxNode:
    raise NotFoundError("No such endpoint")


def failed_job(**error: Any) -> tuple[Session, Any]:
    """A job that failed in its second script. Its container has open ports and a stored credential."""
    session = Session(new_id(), new_id(), "pve", "root@pam", BEGIN)
    row = Container(
        id=new_id(), endpoint_id=session.endpoint_id, vmid=101, node="pve1", hostname="web", created_by="root@pam"
    )
    row.services = [
        {"kind": "port", "port": 80, "public": True},
        {"kind": "port", "port": 5432, "public": False},
        {"kind": "unit", "name": "nginx"},
    ]
    creation = Job.about(
        row, CREATE_KIND, id=new_id(), userid="root@pam", state="failed",
        step="syncing", percent=80, checkpoint={}, params=SPEC.to_json(), error={"message": "It failed", **error},
    )  # fmt: skip
    log = {"type": EventType.LOG.value}
    events = told(
        (1, Phase.SYNCING, "first", {**log, "script": "10-a.sh"}),
        (2, Phase.SYNCING, "second\nwrong", {**log, "script": "20-b.sh", "lines": 2}),
    )
    end = told((4, Phase.SYNCING, "It failed", {"type": EventType.ERROR.value}))
    end[0].seq = 4
    job_lists = SimpleNamespace(get=always((creation, row, "")))
    written = SimpleNamespace(told=always(end), between=always(events))
    containers = SimpleNamespace(get=always(row), credentials=lambda _: {"web": {"password": "secret"}})
    nodes = SimpleNamespace(get=_not_registered)
    return session, SimpleNamespace(
        db=database(job_lists=job_lists, events=written, containers=containers, nodes=nodes)
    )


@pytest.mark.parametrize(
    ("error", "tail"),
    [
        ({"phase": "syncing", "step": "20-b.sh"}, ("second", "wrong")),
        ({"phase": "syncing", "step": "sync.held"}, ("first", "second", "wrong")),
        ({"phase": "creating", "step": "create", "tail": ["TASK ERROR: no space"]}, ("TASK ERROR: no space",)),
    ],
)
async def test_a_failed_job_shows_the_end_of_what_failed(error: dict[str, Any], tail: tuple[str, ...]) -> None:
    session, rt = failed_job(**error)
    found = await report(rt, session, new_id())
    assert found.tail == tail
    assert not found.view.may_console, "its endpoint is not registered any more"
    assert (found.ports, found.links, found.credentials) == ((80,), (), ("web",))
    assert "secret" not in repr(found)
