"""Rows of the job list, the filters in its address, and the texts of a job's page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState, Phase, new_id
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.services.creation.report import Mark, PhaseReport, StepReport
from lxc_dashboard.services.creation.views import CreationView, creation_view
from lxc_dashboard.services.jobs.kinds import _KINDS
from lxc_dashboard.services.jobs.listing import JobPulse, Wanted
from lxc_dashboard.services.jobs.views import job_view
from lxc_dashboard.state.jobs.job import barred, phase_row, unknown_note
from lxc_dashboard.state.jobs.rows import JobRow, View, kinds_of, line_of, moved, row_of, title_of, word_of
from tasks.jobs import KINDS

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = BEGIN + timedelta(seconds=90)
ROW = JobRow(
    id=str(new_id()),
    href="/jobs/x",
    title="Create",
    name="web-01",
    vmid=101,
    node="pve1",
    template="nginx-web r7",
    userid="root@pam",
    state="running",
    dot="changing",
    word="syncing 60 %",
    percent=60,
    ticking=True,
    seconds=10.0,
    created_at=BEGIN.isoformat(),
)
PULSE = JobPulse(new_id(), CREATE_KIND, JobState.RUNNING, "syncing", 60, BEGIN, None)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("running", "syncing 60 %"),
        ("cancelling", "Cancelling"),
        ("failed", "Failed in syncing"),
        ("done", "Ready"),
        ("waiting", "Waits for sign-in"),
    ],
)
def test_a_creation_shows_its_phase_or_state(state: str, word: str) -> None:
    assert word_of(replace(PULSE, state=JobState(state))) == word


@pytest.mark.parametrize(
    ("state", "word"), [("running", "Running"), ("done", "Done"), ("failed", "Failed"), ("queued", "Queued")]
)
def test_the_word_of_an_act_names_no_phase(state: str, word: str) -> None:
    assert word_of(replace(PULSE, kind="container.stop", state=JobState(state))) == word


def test_a_row_names_the_kind_and_the_guest_or_its_vmid() -> None:
    stop = Job(kind="container.stop", endpoint_id=new_id(), vmid=101, node="pve1", name="web-01", userid="root@pam")
    view = job_view(stop, None, "", own=True)
    row = row_of(view, LATER)
    assert (row.title, row.name, row.vmid, title_of(view)) == ("Stop", "web-01", 101, "Stop web-01")
    nameless = replace(view, name="", kind="guest.polish")
    assert (row_of(nameless, LATER).name, title_of(nameless)) == ("CT 101", "guest.polish CT 101")


def test_kinds_are_offered_by_their_titles() -> None:
    kinds = ["container.stop", "container.create", "guest.polish"]
    assert [choice.title for choice in kinds_of(kinds)] == ["Create", "Stop", "guest.polish"]


def test_every_kind_of_job_has_a_title() -> None:
    assert KINDS, "the worker registers them"
    ours = [name for name, kind in _KINDS.items() if type(kind).__module__.startswith("lxc_dashboard.")]
    assert [name for name in ours if name not in text.JOB_KINDS] == []


def test_an_unchanged_row_stays_the_same_object() -> None:
    assert moved(ROW, PULSE, LATER) is ROW


def test_a_row_follows_its_job() -> None:
    row = moved(ROW, replace(PULSE, percent=70), LATER)
    assert (row.word, row.percent, row.seconds, row.ticking) == ("syncing 70 %", 70, 90.0, True)
    ended = replace(PULSE, state=JobState.DONE, finished_at=BEGIN + timedelta(seconds=30))
    row = moved(ROW, ended, LATER)
    assert (row.word, row.dot, row.seconds, row.ticking) == ("Ready", "running", 30.0, False)


def step(key: str, mark: Mark) -> StepReport:
    return StepReport(key, key, mark, None, 0)


def test_the_page_of_a_job_of_an_unknown_kind_says_what_to_do() -> None:
    job = Job(id=new_id(), kind="future.act", endpoint_id=new_id(), vmid=101, userid="root@pam", state="queued")
    waits = unknown_note(job_view(job, None, "", own=True))
    ended = unknown_note(replace(job_view(job, None, "", own=True), state=JobState.DONE, finished_at=BEGIN))
    assert waits == text.UNKNOWN_KIND_WAITS.format(kind="future.act")
    assert ended == text.UNKNOWN_KIND.format(kind="future.act")
    assert not any(unknown_note(replace(job_view(job, None, "", own=True), kind=kind)) for kind in _KINDS)


def test_a_phase_lists_scripts_always_and_other_steps_while_they_matter() -> None:
    steps = (step("create.check", Mark.DONE), step("script.001.a.sh", Mark.DONE), step("script.002.b.sh", Mark.TODO))
    row = phase_row(PhaseReport(Phase.SYNCING, Mark.ACTIVE, 3.0, 7, {"scripts": (1, 2)}, steps))
    assert [shown.title for shown in row.steps] == ["script.001.a.sh, 1 of 2", "script.002.b.sh, 2 of 2"]
    assert (row.note, row.ticking, row.seq) == ("scripts 1/2", True, 7)
    running = phase_row(PhaseReport(Phase.CREATING, Mark.ACTIVE, None, 0, {}, (step("create.container", Mark.ACTIVE),)))
    assert [shown.title for shown in running.steps] == ["create.container"]
    entered = phase_row(PhaseReport(Phase.STARTING, Mark.DONE, None, 0, {}, (step("start.init", Mark.DONE),)))
    assert [shown.title for shown in entered.steps] == ["start.init"], "which way leads in is shown to the end"


@pytest.mark.parametrize(
    ("mark", "counts", "note"),
    [
        (Mark.DONE, {"files": (4, 4)}, "4 files"),
        (Mark.DONE, {"files": (1, 1)}, "1 file"),
        (Mark.DONE, {"packages": (1, 1), "scripts": (1, 1)}, "1 package step, 1 script"),
        (Mark.DONE, {"packages": (2, 2), "scripts": (5, 5)}, "2 package steps, 5 scripts"),
        (Mark.ACTIVE, {"files": (0, 1)}, "0 of 1 file"),
        (Mark.ACTIVE, {"files": (1, 3)}, "1 of 3 files"),
        (Mark.ACTIVE, {"packages": (1, 1), "scripts": (0, 1)}, "packages 1/1, scripts 0/1"),
    ],
)
def test_a_phase_counts_what_it_does(mark: Mark, counts: dict[str, tuple[int, int]], note: str) -> None:
    assert phase_row(PhaseReport(Phase.DEPLOYING, mark, 1.0, 1, counts, ())).note == note


@pytest.mark.parametrize(
    ("ahead", "node", "line"),
    [
        (0, "", "1st in line"),
        (1, "", "2nd in line"),
        (2, "", "3rd in line"),
        (3, "", "4th in line"),
        (10, "", "11th in line"),
        (11, "", "12th in line"),
        (20, "", "21st in line"),
        (111, "", "112th in line"),
        (1000, "", "1,001st in line"),
        (0, "pve1", "Next on pve1"),
        (1, "pve1", "Waits for 1 other on pve1"),
        (2, "pve1", "Waits for 2 others on pve1"),
    ],
)
def test_a_queued_job_shows_its_place_in_the_line(ahead: int, node: str, line: str) -> None:
    assert line_of(Place(ahead, node)) == line
    queued = replace(PULSE, state=JobState.QUEUED, place=Place(ahead, node))
    assert moved(ROW, queued, LATER).word == line


def test_a_view_keeps_the_address_that_it_was_read_from() -> None:
    address = "/jobs?q=web+1&kind=container.stop&state=failed&guest=db&node=pve1&template=nginx&user=ann%40pve&page=3"
    view = View.of(dict(parse_qsl(urlsplit(address).query)))
    assert view.address(page=view.page) == address
    assert (
        view.address(page=view.page, q="", kind="", guest="", template="", user="")
        == "/jobs?state=failed&node=pve1&page=3"
    )
    assert view.wanted == Wanted(
        (JobState.FAILED,), "container.stop", "pve1", "nginx", userid="ann@pve", name="db", text="web 1"
    )
    assert View(guest=" 101 ").wanted == Wanted(vmid=101)
    assert View(guest="9999999999").wanted == Wanted(name="9999999999"), "no vmid is so long"
    assert view.narrows


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "99999999999", "\u0663"])
def test_an_invalid_address_shows_the_first_page_of_all(page: str) -> None:
    view = View.of({"page": page, "state": "nonsense", "other": "1"})
    assert view.wanted == Wanted()
    assert view.address() == "/jobs"
    assert view.page >= 1


def failed_job(*, own: bool, manages: bool, may_console: bool) -> CreationView:
    container = Container(endpoint_id=new_id(), vmid=101, node="pve1", hostname="web-01", lifecycle="error")
    job = Job.about(container, CREATE_KIND, step="creating", userid="ann@pve", params={}, state="failed")
    return replace(creation_view(job, container, "web r1", own=own, manages=manages), may_console=may_console)


@pytest.mark.parametrize(
    ("own", "manages", "may_console", "said"),
    [
        (True, False, True, []),
        (False, True, True, ["Only ann@pve"]),
        (False, True, False, ["Only ann@pve", "VM.Console at /vms/101", "An administrator"]),
        (False, False, True, ["Only ann@pve", "VM.Allocate at /vms/101", "An administrator"]),
        (
            False,
            False,
            False,
            ["Only ann@pve", "VM.Allocate at /vms/101", "VM.Console at /vms/101", "An administrator"],
        ),
    ],
)
def test_the_page_of_another_users_job_says_what_the_user_may_not_do_and_why(
    own: bool, manages: bool, may_console: bool, said: list[str]
) -> None:
    told = barred(failed_job(own=own, manages=manages, may_console=may_console))
    every = ["Only ann@pve", "VM.Allocate at /vms/101", "VM.Console at /vms/101", "An administrator"]
    assert [part for part in every if part in told] == said
