"""An act on a container as a job: opened from its notice, found in the list, and linked when it blocks another act."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import Job
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from tests.e2e.conftest import NewPage, accessibility_faults, fits, keep_picture, until, visit
from tests.e2e.job_runs import in_services, state
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.stack import Stack
from tests.e2e.test_containers import ask, row

ENDPOINT = "act-jobs"
SLOW, QUICK = 101, 102
UNKNOWN = "future.act"
SHUTDOWN_S = 300  # PVE's own timeout ends it earlier, and the test cancels it
ACTED_WITHIN_MS = 60_000


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[OtherNode]:
    """A PVE on which one container does not shut down by itself."""

    def slow_down(node: Any) -> None:
        node.api.time_scale = 1.0
        node.api.ct(SLOW).shutdown_secs = SHUTDOWN_S

    with other_node(stack, tmp_path, ENDPOINT, containers=2, nodes=1) as endpoint:
        endpoint.let(slow_down)
        yield endpoint


def stop_and_open_the_job(page: Page) -> str:
    """Stop a container and follow the notice's link; return the title of the job's page."""
    ask(page, QUICK, "Stop")
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    notice = page.locator(".notice", has_text=f"Stopped CT {QUICK}")
    expect(notice).to_be_visible(timeout=ACTED_WITHIN_MS)
    notice.get_by_role("link", name=text.OPEN_JOB).click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(state(page)).to_have_text("Done")
    return page.get_by_role("heading", level=1).inner_text()


def test_an_act_is_followed_as_a_job_and_a_second_one_is_refused_with_a_link_to_it(
    fresh_page: Page, new_page: NewPage, stack: Stack, elsewhere: OtherNode
) -> None:
    page, other = fresh_page, new_page()
    sign_in_at(page, ENDPOINT)
    sign_in_at(other, ENDPOINT)
    name = name_of(elsewhere, QUICK)
    assert stop_and_open_the_job(page) == f"Stop {name}"
    expect(page.locator(".panel-title", has_text=f"Stopped CT {QUICK} {name}")).to_be_visible()
    expect(page.locator(".log-line", has_text=f"Stopped CT {QUICK} {name}")).to_be_visible()
    expect(page.locator(".job-facts")).to_contain_text("by root@pam")
    assert accessibility_faults(page) == []
    keep_picture(page, "act-job-done")
    page.get_by_role("link", name=text.OPEN_IN_LIST).click()
    expect(row(page, QUICK)).to_have_attribute("data-status", "stopped", timeout=ACTED_WITHIN_MS)

    visit(page, routes.CONTAINERS)
    ask(other, SLOW, "Shut down")
    ask(page, SLOW, "Shut down")
    page.get_by_role("dialog").get_by_role("button", name="Shut down").click()
    until(page, lambda: is_shutting_down(elsewhere), "no shutdown is begun", ACTED_WITHIN_MS)
    other.get_by_role("dialog").get_by_role("button", name="Shut down").click()
    refused = other.get_by_role("alert").filter(has_text="is busy")
    refused.get_by_role("link", name=text.OPEN_JOB).click(timeout=ACTED_WITHIN_MS)
    expect(other.get_by_role("heading", level=1)).to_have_text(f"Shut down {name_of(elsewhere, SLOW)}")
    expect(state(other)).to_have_text("Running")
    keep_picture(other, "act-job-running")

    page.locator("button.running").click()
    entry = page.locator(".running-entry", has_text="Shut down")
    expect(entry).to_contain_text(f"CT {SLOW}")
    keep_picture(page, "act-job-drawer")
    entry.get_by_role("link").click()
    expect(state(page)).to_have_text("Running")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name=text.CANCEL_ACT_VERB).click()
    for viewer in (page, other):
        expect(state(viewer)).to_have_text("Cancelled", timeout=ACTED_WITHIN_MS)
    find_by_kind_and_guest(page)


def name_of(elsewhere: OtherNode, vmid: int) -> str:
    return str(next(guest.name for guest in elsewhere.node.api.cts if guest.vmid == vmid))


def is_shutting_down(elsewhere: OtherNode) -> bool:
    return any(task["type"] == "vzshutdown" for task in elsewhere.node.api.tasks.values())


def find_by_kind_and_guest(page: Page) -> None:
    """Filter the list of jobs by both; its address keeps them."""
    visit(page, routes.JOBS)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label(text.JOB_KIND, exact=True).select_option("Stop")
    expect(rows).to_have_count(1)
    page.get_by_label(text.BY_GUEST).fill(str(SLOW))
    page.get_by_label(text.BY_GUEST).press("Enter")
    expect(page.get_by_text(text.NO_JOB_MATCHES)).to_be_visible()
    page.get_by_label(text.BY_GUEST).fill(str(QUICK))
    page.get_by_label(text.BY_GUEST).press("Enter")
    expect(page).to_have_url(re.compile(rf"\?kind=container\.stop&guest={QUICK}$"))
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Done")
    assert accessibility_faults(page) == []
    fits(page)
    keep_picture(page, "jobs-by-kind-and-guest")
    visit(page, f"{routes.JOBS}?kind=container.shutdown&guest={SLOW}&user=root%40pam")
    expect(page.get_by_label(text.BY_GUEST)).to_have_value(str(SLOW))
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Cancelled")
    expect(page.get_by_label(text.USER, exact=True)).to_have_value("root@pam")


def test_a_job_of_an_unknown_kind_says_what_to_do_and_can_be_cancelled(
    fresh_page: Page, stack: Stack, elsewhere: OtherNode
) -> None:
    page = fresh_page
    sign_in_at(page, ENDPOINT)

    async def store(rt: Runtime, session: Session) -> UUID:
        job = Job(kind=UNKNOWN, endpoint_id=session.endpoint_id, vmid=QUICK, node="pve1", userid=session.userid)
        async with rt.db.transaction() as tx:
            await tx.jobs.add(job)
        return job.id

    visit(page, routes.job(in_services(stack, page, store)))
    expect(page.get_by_text(text.UNKNOWN_KIND_WAITS.format(kind=UNKNOWN))).to_be_visible()
    assert accessibility_faults(page) == []
    keep_picture(page, "job-of-unknown-kind")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name=text.CANCEL_ACT_VERB).click()
    expect(state(page)).to_have_text("Cancelling")
