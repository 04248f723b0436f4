"""Jobs in a browser: live, after a reload, beside a second viewer, to their end or their failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import EventType, JobState, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from tests.e2e.conftest import SIGN_IN_TIMEOUT_MS, NewPage, accessibility_faults, fits, reload, sign_in, until, visit
from tests.e2e.job_runs import (
    GATE,
    RUN_MS,
    begin,
    let_go,
    line,
    printed,
    state,
    state_of,
    step,
    vmid_of,
    write,
)
from tests.e2e.stack import Stack

# Without and with an answer from the worker.
AT_ONCE_MS = 10_000
SOON_MS = 60_000
PHONE: ViewportSize = {"width": 390, "height": 844}
# More lines on a phone than are shown at once.
LONG = " ".join(["before it, in a line that no phone is wide enough for"] * 12)
END_SEEN = """shown =>
  shown.firstChild.getBoundingClientRect().bottom <= shown.getBoundingClientRect().bottom"""
HELD_BY_ITS_DIALOG = """button => {
  const box = button.getBoundingClientRect(), dialog = button.closest("dialog").getBoundingClientRect();
  return box.left > dialog.left && box.right < dialog.right;
}"""


def test_a_job_is_watched_live_after_a_reload_and_by_a_second_viewer(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    scripts = {
        "10-first.sh": "echo one\n",
        "20-second.sh": f"for n in $(seq 1 20); do echo tick $n; sleep 0.1; done\n{GATE}printf '1%%\\r100%%\\n'\n"
        "printf '\\033[31mred\\033[0m\\n'\n",
        "30-third.sh": "echo three\n",
    }
    job = begin(stack, page, tmp_path, scripts, hostname="watched-01")
    # The second script waits for ``let_go``, so that a slow machine still sees the job running.
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events?" in request.url else None)
    visit(page, routes.job(job))
    expect(page.get_by_role("heading", level=1)).to_have_text("watched-01")
    expect(line(page, "tick 3")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("syncing")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(step(page, "20-second.sh, 2 of 3")).to_contain_text("Running")
    expect(step(page, "30-third.sh, 3 of 3")).to_contain_text("To come")
    other = new_page()
    sign_in(other, stack, "viewer@pve", routes.job(job))
    reload(page)
    for viewer in (page, other):
        expect(line(viewer, "one")).to_be_visible()
        expect(state(viewer)).to_contain_text("syncing")
    let_go(stack, vmid_of(stack, page, job))
    for viewer in (page, other):
        expect(state(viewer)).to_have_text("Ready", timeout=RUN_MS)
        expect(line(viewer, "100%")).to_be_visible()
        expect(viewer.locator(".log-text .ansi-1")).to_have_text("red")
        expect(step(viewer, "30-third.sh, 3 of 3")).to_contain_text("Done")
        expect(viewer.get_by_role("heading", name=re.compile("watched-01 is ready"))).to_be_visible()
        texts = [text for text in viewer.locator(".log-text").all_text_contents() if text.startswith("tick")]
        assert texts == [f"tick {number}" for number in range(1, 21)]
    # A change of the page's state must not open a new stream, which would change the state again.
    assert len(streams) <= 6


def test_a_failed_job_says_why_and_is_retried_from_the_step_that_failed(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    scripts = {
        "10-first.sh": "echo first >> /root/runs\n",
        "20-fails.sh": f"echo {LONG}\n[ -e /root/tried ] && exit 0\ntouch /root/tried\n"
        "echo 'E: Unable to locate package nginxx'\nexit 100\n",
        "30-last.sh": 'echo "first ran $(wc -l < /root/runs) times"\n',
    }
    job = begin(stack, page, tmp_path, scripts, hostname="retried-01")
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Failed in syncing", timeout=RUN_MS)
    failure = page.locator(".failure")
    expect(failure).to_contain_text("Failed at 20-fails.sh")
    expect(failure).to_contain_text("a package does not exist for this OS: nginxx")
    expect(failure).to_contain_text("What to do")
    expect(failure.get_by_label("Last lines")).to_have_text(f"{LONG}\nE: Unable to locate package nginxx")
    expect(step(page, "20-fails.sh, 2 of 3")).to_contain_text("Failed")
    assert accessibility_faults(page) == []
    other = new_page(viewport=PHONE)
    sign_in(other, stack, "viewer@pve", routes.job(job))
    expect(other.locator(".failure")).to_contain_text("Failed at 20-fails.sh")
    last = other.get_by_label("Last lines")
    until(other, lambda: last.evaluate("one => one.scrollWidth <= one.clientWidth"), "the last lines are cut off")
    assert last.evaluate("one => one.firstChild.offsetHeight > one.clientHeight"), "all of it is seen anyhow"
    until(other, lambda: last.evaluate(END_SEEN), "what it ended with is out of sight")
    expect(other.get_by_role("button", name="Retry from 20-fails.sh")).to_have_count(0)
    page.get_by_role("button", name="Retry from 20-fails.sh").click()
    for viewer in (page, other):
        expect(state(viewer)).to_have_text("Ready", timeout=RUN_MS)
        expect(line(viewer, "first ran 1 times")).to_be_visible()


def test_what_a_failed_job_left_is_destroyed_once_its_vmid_is_typed(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-fails.sh": "exit 3\n"}, hostname="destroyed-01")
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Failed in syncing", timeout=RUN_MS)
    vmid = page.locator(".job-subject .mono").first.inner_text()
    page.get_by_role("button", name="Destroy", exact=True).click()
    dialog = page.get_by_role("dialog", name=f"Destroy CT {vmid} destroyed-01?")
    page.set_viewport_size(PHONE)
    keep = dialog.get_by_role("button", name="Cancel", exact=True)
    until(page, lambda: keep.evaluate(HELD_BY_ITS_DIALOG), "a button is cut off")
    verb = dialog.get_by_role("button", name=f"Destroy CT {vmid} destroyed-01")
    dialog.get_by_label(f"Type {vmid} to confirm").fill("1")
    expect(verb).to_be_disabled()
    dialog.get_by_label(f"Type {vmid} to confirm").fill(vmid)
    verb.click()
    expect(page.get_by_text(f"Destroyed CT {vmid} destroyed-01")).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_text("The container is gone")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Retry|Destroy"))).to_have_count(0)


def test_what_a_failed_job_left_can_be_kept(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-fails.sh": "exit 3\n"}, hostname="kept-01")
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Failed in syncing", timeout=RUN_MS)
    page.get_by_role("button", name="Keep as it is").click()
    expect(page.locator(".failure")).to_contain_text("kept-01 is kept as it is")
    page.get_by_role("button", name="Other choices").click()
    expect(page.get_by_role("button", name="Destroy", exact=True)).to_be_visible()
    page.get_by_role("button", name="Keep as it is").click()
    page.get_by_role("link", name="Open in the list").click()
    expect(page).to_have_url(f"{stack.url}{routes.CONTAINERS}")


def test_cancelling_is_confirmed_acknowledged_at_once_and_done_soon(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-waits.sh": f"echo waiting\n{GATE}"}, hostname="cancelled-01")
    visit(page, routes.job(job))
    expect(line(page, "waiting")).to_be_visible(timeout=RUN_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Do not cancel").click()
    expect(state(page)).to_contain_text("syncing")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the creation").click()
    expect(state(page)).to_have_text(re.compile("Cancelling|Cancelled"), timeout=AT_ONCE_MS)
    expect(state(page)).to_have_text("Cancelled", timeout=SOON_MS)
    expect(page.locator(".panel", has_text="Cancelled by root@pam")).to_be_visible()
    assert state_of(stack, page, job) == "cancelled"


def test_a_job_whose_sign_in_ended_waits_says_so_and_goes_on_after_the_next_one(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    job = begin(stack, page, tmp_path, {"10-slow.sh": f"echo begun\n{GATE}echo over\n"}, hostname="waits-01")
    other = new_page()
    sign_in(other, stack, "viewer@pve", routes.job(job))
    expect(line(other, "begun")).to_be_visible(timeout=RUN_MS)
    vmid = vmid_of(stack, page, job)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    let_go(stack, vmid)
    expect(state(other)).to_have_text("Waits for sign-in", timeout=RUN_MS)
    expect(other.locator(".waiting-note")).to_contain_text("It goes on when root@pam signs in again")
    assert accessibility_faults(other) == []
    sign_in(page, stack, "root@pam", routes.job(job))
    expect(state(page)).to_have_text("Ready", timeout=RUN_MS)
    expect(line(page, "over")).to_have_count(1)


def test_a_job_goes_on_after_a_sign_in_that_its_own_page_asks_for(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    other = new_page()
    sign_in(other, stack)
    job = begin(stack, page, tmp_path, {"10-slow.sh": f"echo begun\n{GATE}echo over\n"}, hostname="waits-02")
    visit(other, routes.job(job))
    expect(line(other, "begun")).to_be_visible(timeout=RUN_MS)
    vmid = vmid_of(stack, page, job)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    let_go(stack, vmid)
    expect(state(other)).to_have_text("Waits for sign-in", timeout=RUN_MS)
    expect(other.locator(".waiting-note")).to_contain_text("Sign in again as root@pam")
    assert accessibility_faults(other) == []
    listed = new_page()
    sign_in(listed, stack, "viewer@pve", routes.JOBS)
    row = listed.locator("tbody tr", has_text="waits-02")
    expect(row).to_contain_text("Waits for sign-in", timeout=RUN_MS)
    other.get_by_role("link", name="Sign in again").click()
    expect(other.get_by_label("User")).to_have_value("root")
    other.get_by_label("Password").fill(stack.users["root@pam"])
    other.get_by_role("button", name="Sign in").click()
    expect(other).to_have_url(f"{stack.url}{routes.job(job)}", timeout=SIGN_IN_TIMEOUT_MS)
    expect(state(other)).to_have_text("Ready", timeout=RUN_MS)
    expect(line(other, "over")).to_have_count(1)
    expect(row).to_contain_text("Ready", timeout=RUN_MS)


def test_credentials_are_revealed_one_at_a_time_and_stand_in_no_page_before(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    scripts = {"10-secrets.sh": "save_credential db KEY hunter2-db\nsave_credential web PASSWORD hunter2-web\n"}
    job = begin(stack, page, tmp_path, scripts, hostname="secrets-01")
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Ready", timeout=RUN_MS)
    assert "hunter2" not in page.content()
    page.evaluate("() => { window.own = window.fetch; window.fetch = () => Promise.reject(new TypeError('away')); }")
    page.get_by_role("button", name="Reveal web").click()
    expect(page.get_by_role("alert").filter(has_text=text.CREDENTIAL_WORDS["failed"])).to_be_visible()
    page.evaluate("() => { window.fetch = window.own; }")
    page.get_by_role("button", name="Reveal web").click()
    expect(page.get_by_text("hunter2-web")).to_be_visible()
    page.get_by_role("button", name="Reveal db").click()
    expect(page.get_by_text("hunter2-db")).to_be_visible()
    expect(page.get_by_text("hunter2-web")).to_have_count(0)
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Hide db").click()
    expect(page.get_by_text("hunter2-db")).to_have_count(0)
    assert not any("hunter2" in frame for frame in frames)


def test_the_list_shows_the_newest_first_moves_by_itself_and_is_filtered(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    write(stack, page, 9004, printed(1), JobState.FAILED, hostname="older-01")
    visit(page, routes.JOBS)
    rows = page.locator("tbody tr")
    expect(rows.first).to_contain_text("older-01")
    expect(rows.first).to_contain_text("Failed in syncing")
    maker = new_page()
    sign_in(maker, stack)
    job = begin(stack, maker, tmp_path, {"10-waits.sh": f"echo waiting\n{GATE}"}, hostname="newer-01")
    expect(rows.first).to_contain_text("newer-01")
    expect(rows.first).to_contain_text("syncing", timeout=RUN_MS)
    let_go(stack, vmid_of(stack, maker, job))
    expect(rows.first).to_contain_text("Ready", timeout=RUN_MS)
    expect(rows.first).to_contain_text("root@pam")
    page.get_by_label("Show").select_option("failed")
    expect(page).to_have_url(re.compile("state=failed$"))
    expect(rows.first).to_contain_text("older-01")
    expect(page.locator("tbody")).not_to_contain_text("Ready")
    page.get_by_label("Show").select_option("open")
    expect(page).to_have_url(re.compile("state=open$"))
    page.get_by_label(text.SEARCH_JOBS).fill("newer-01")
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.get_by_label("Show").select_option("")
    expect(page).to_have_url(re.compile(r"\?q=newer-01$"))
    page.get_by_role("link", name="newer-01").click()
    expect(page).to_have_url(f"{stack.url}{routes.job(job)}")
    expect(line(page, "waiting")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        pytest.param(390, "dark", marks=pytest.mark.full),
        pytest.param(1280, "light", marks=pytest.mark.full),
    ],
)
def test_the_pages_of_jobs_are_accessible_and_fit(new_page: NewPage, stack: Stack, scheme: str, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sign_in(page, stack)
    vmid = 9200 + width + len(scheme)
    colours = "".join(f"\x1b[{code}m{code} \x1b[0m" for code in (*range(30, 38), *range(90, 98)))
    events = [
        NewEvent(EventType.LOG, Phase.SYNCING, 70, colours),
        NewEvent(EventType.WARNING, Phase.SYNCING, 70, "a warning"),
        NewEvent(EventType.ERROR, Phase.SYNCING, 70, "an error"),
    ]
    job = write(stack, page, vmid, events, JobState.FAILED, hostname="axe-01")
    for path in (routes.JOBS, routes.job(job)):
        visit(page, path)
        expect(page.get_by_text("axe-01").first).to_be_visible()
        if path != routes.JOBS:
            expect(line(page, "a warning")).to_be_visible()
        assert accessibility_faults(page) == []
        fits(page)
