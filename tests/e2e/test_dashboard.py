"""The dashboard: what needs somebody now, and the way from each figure to what it counts."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture, visit
from tests.e2e.job_runs import RUN_MS, begin
from tests.e2e.stack import Stack


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    opened = new_page(storage_state=signed_in_as())
    visit(opened, routes.DASHBOARD)
    expect(opened.get_by_role("table", name=text.NODES_TITLE)).to_be_visible()
    return opened


def test_a_job_is_seen_from_its_beginning_to_its_failure(page: Page, stack: Stack, tmp_path: Path) -> None:
    name = f"seen-{secrets.token_hex(3)}"
    begin(stack, page, tmp_path, {"10-fails.sh": "exit 3\n"}, hostname=name)
    row = page.get_by_role("table", name=text.JOBS_TO_SEE).get_by_role("row", name=re.compile(name))
    expect(row).to_be_visible()
    expect(row).to_contain_text("Failed in syncing", timeout=RUN_MS)
    assert accessibility_faults(page) == []
    keep_picture(page, "dashboard-jobs")
    row.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_figures_lead_to_the_containers_that_they_count(page: Page) -> None:
    page.get_by_role("link", name="pve2", exact=True).click()
    expect(page).to_have_url(re.compile(r"/containers\?node=pve2$"))
    expect(page.get_by_label(text.GUEST_WORDS["filter_node"])).to_have_value("pve2")
    page.go_back()
    stopped = page.locator(".figure", has_text=text.CONTAINERS_STOPPED).get_by_role("link")
    stopped.click()
    expect(page.get_by_label(text.GUEST_WORDS["filter_status"])).to_have_value("stopped")


def test_the_status_line_says_how_old_the_figures_are(page: Page) -> None:
    expect(page.locator(".status-left")).to_have_text(re.compile(r"^PVE \S+ · figures of \S"))
