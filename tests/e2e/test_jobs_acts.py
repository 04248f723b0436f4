"""What an operator does to jobs: resumes a paused one, finds one among many, cancels, retries, destroys."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from lxc_dashboard.db.models import JobState
from tests.e2e.conftest import NewPage, accessibility_faults, reload, sign_in, visit
from tests.e2e.job_runs import GATE, RUN_MS, begin, line, printed, state, state_of, step, vmid_of, write, write_many
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack

ENDS_MS = 20_000  # 15 s until it ends, and the page's delay


def test_a_job_paused_after_the_create_goes_on_when_its_user_says_so(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    job = begin(stack, page, tmp_path, {"10-first.sh": "echo went on\n"}, hostname="pause-01", pause_after_create=True)
    other = new_page()
    sign_in(other, stack, "viewer@pve", routes.job(job))
    visit(page, routes.job(job))
    for viewer in (page, other):
        expect(state(viewer)).to_have_text("Paused", timeout=RUN_MS)
        expect(step(viewer, "Pause before the first start")).to_contain_text("Waiting")
    expect(page.locator(".waiting-note")).to_contain_text("not started yet")
    expect(other.locator(".waiting-note")).to_contain_text("Only root@pam can let the job go on")
    expect(other.get_by_role("button", name="Go on")).to_have_count(0)
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Go on").click()
    for viewer in (page, other):
        expect(state(viewer)).to_have_text("Ready", timeout=RUN_MS)
        expect(line(viewer, "went on")).to_be_visible()


def test_a_paused_job_is_cancelled(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-first.sh": "echo one\n"}, hostname="pause-02", pause_after_create=True)
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Paused", timeout=RUN_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the creation").click()
    expect(state(page)).to_have_text("Cancelled", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Destroy", exact=True)).to_be_visible()
    assert state_of(stack, page, job) == "cancelled"


def test_a_job_whose_container_is_deleted_in_pve_says_by_whom_and_offers_to_create_again(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    job = begin(stack, page, tmp_path, {"10-waits.sh": f"echo waiting\n{GATE}"}, hostname="gone-01")
    visit(page, routes.job(job))
    expect(line(page, "waiting")).to_be_visible(timeout=RUN_MS)
    vmid = vmid_of(stack, page, job)
    NodeSide(stack).ask("DELETE", f"/nodes/pve1/lxc/{vmid}?force=1&purge=1")
    outcome = page.locator(".failure")
    expect(outcome).to_contain_text(f"CT {vmid} was deleted in PVE by root@pam", timeout=ENDS_MS)
    expect(outcome.get_by_role("link", name="Create again")).to_be_visible()
    expect(outcome.get_by_text("The container is gone")).to_be_visible()
    expect(outcome.get_by_role("button", name=re.compile("Retry|Keep|Destroy"))).to_have_count(0)
    assert accessibility_faults(page) == []


def test_jobs_are_found_by_what_the_address_says(page: Page, stack: Stack) -> None:
    write(stack, page, 9601, printed(1), JobState.FAILED, hostname="find-failed")
    write(stack, page, 9602, printed(1), JobState.DONE, hostname="find-ready")
    visit(page, routes.JOBS)
    rows = page.locator("tbody tr")
    search = page.get_by_role("searchbox")
    search.fill("find-")
    expect(rows).to_have_count(2)
    page.get_by_label("Show").select_option("failed")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("find-failed")
    expect(page).to_have_url(re.compile(r"[?&]q=find-&state=failed$"))
    reload(page)
    expect(rows).to_have_count(1)
    expect(search).to_have_value("find-")
    page.get_by_label("Node").select_option("pve1")
    expect(page).to_have_url(re.compile("node=pve1"))
    expect(rows).to_have_count(1)
    page.get_by_label("User", exact=True).select_option("root@pam")
    expect(page).to_have_url(re.compile("user=root%40pam"))
    assert accessibility_faults(page) == []
    search.fill("find-nothing")
    page.get_by_role("link", name="Clear the filter").click()
    expect(page).to_have_url(f"{stack.url}{routes.JOBS}")
    expect(rows.first).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile("user=root%40pam"))


def test_many_jobs_are_read_page_by_page(page: Page, stack: Stack) -> None:
    write_many(stack, page, {9700 + number: f"many-{number:02d}" for number in range(52)}, printed(1))
    visit(page, f"{routes.JOBS}?q=many-")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(page.get_by_text("1 to 50 of 52")).to_be_visible()
    expect(rows.first).to_contain_text("many-51")
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile(r"page=2$"))
    expect(rows.last).to_contain_text("many-00")
    page.get_by_role("link", name="Newer").click()
    expect(rows).to_have_count(50)


def test_a_failed_job_offers_to_each_what_he_may_and_leads_its_user_to_the_wizard(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    job = begin(stack, page, tmp_path, {"10-fails.sh": "exit 3\n"}, hostname="edit-01")
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Failed in syncing", timeout=RUN_MS)
    viewer = new_page()
    sign_in(viewer, stack, "viewer@pve", routes.job(job))
    outcome = viewer.locator(".failure")
    for why in ("Only root@pam can retry this job", "VM.Allocate at /vms/", "VM.Console at /vms/"):
        expect(outcome).to_contain_text(why)
    expect(outcome.get_by_role("button", name=re.compile("Keep|Destroy|Retry"))).to_have_count(0)
    expect(outcome.get_by_role("link", name=re.compile("Console|Edit", re.IGNORECASE))).to_have_count(0)
    assert accessibility_faults(viewer) == []
    page.get_by_role("link", name="Edit and retry").click()
    expect(page).to_have_url(re.compile(f"edit={job}"))
    expect(page.get_by_text("edit-01").first).to_be_visible()
