"""The dashboard: what needs attention now, and the link from each figure to what it counts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture, visit
from tests.e2e.job_runs import RUN_MS, begin
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at, sign_in_unseen_at
from tests.e2e.stack import Stack

WORDS = text.NODE_WORDS
TOLD_WITHIN_MS = 60_000


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
    expect(page.locator(".status-left")).to_have_text(re.compile(r"^Feed age \d+ s · PVE \S+ · 3/3 nodes$"))


@pytest.fixture(scope="module")
def small(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path_factory.mktemp("small"), "small", 3) as node:
        yield node


def figure(page: Page, name: str) -> Locator:
    return page.locator(".figure", has_text=name).locator("dd")


@pytest.mark.full
def test_a_node_that_goes_down_is_told_of_by_itself(fresh_page: Page, small: OtherNode) -> None:
    sign_in_at(fresh_page, "small")
    visit(fresh_page, routes.DASHBOARD)
    expect(figure(fresh_page, WORDS["nodes_online"])).to_have_text("3/3")
    small.let(lambda node: node.node_offline("pve2"))
    try:
        expect(figure(fresh_page, WORDS["nodes_online"])).to_have_text("2/3", timeout=TOLD_WITHIN_MS)
        note = fresh_page.get_by_text(
            re.compile(r"^pve2 does not answer since .*\d\d:\d\d.*; 1 container on it is shown as unknown$")
        )
        expect(note).to_be_visible()
        expect(figure(fresh_page, WORDS["containers_unknown"])).to_have_text("1")
        row = fresh_page.get_by_role("table", name=text.NODES_TITLE).get_by_role("row", name=re.compile("pve2"))
        expect(row).to_contain_text(WORDS["offline"])
        assert accessibility_faults(fresh_page) == []
        keep_picture(fresh_page, "dashboard-node-down")
    finally:
        small.let(lambda node: node.node_offline("pve2", offline=False))
    expect(figure(fresh_page, WORDS["nodes_online"])).to_have_text("3/3", timeout=TOLD_WITHIN_MS)
    expect(note).to_be_hidden()


def test_a_pve_that_never_answered_is_named_with_what_to_do(fresh_page: Page, stack: Stack, tmp_path: Path) -> None:
    with other_node(stack, tmp_path, "silent", 3) as silent:
        sign_in_unseen_at(fresh_page, "silent")
        silent.let(lambda node: node.mute())
        try:
            visit(fresh_page, routes.DASHBOARD)
            block = fresh_page.locator(".block")
            expect(block).to_contain_text(text.FAILED_TITLE, timeout=TOLD_WITHIN_MS)
            expect(block).to_contain_text(text.REMEDY_UNREACHABLE, timeout=TOLD_WITHIN_MS)
            expect(block.get_by_role("button", name=text.RETRY)).to_be_visible()
            expect(fresh_page.get_by_text(text.NO_JOBS_TO_SEE)).to_be_visible(timeout=TOLD_WITHIN_MS)
            assert accessibility_faults(fresh_page) == []
            keep_picture(fresh_page, "dashboard-silent")
        finally:
            silent.let(lambda node: node.mute(muted=False))
        expect(figure(fresh_page, WORDS["nodes_online"])).to_have_text("3/3", timeout=TOLD_WITHIN_MS)


def test_without_containers_it_leads_to_the_wizard(fresh_page: Page, stack: Stack, tmp_path: Path) -> None:
    with other_node(stack, tmp_path, "bare", 0):
        sign_in_at(fresh_page, "bare", routes.DASHBOARD, text.DASHBOARD_TITLE)
        expect(fresh_page.get_by_text(WORDS["empty"])).to_be_visible()
        fresh_page.get_by_role("link", name=WORDS["create"]).click()
        expect(fresh_page.get_by_role("heading", level=1)).to_have_text(text.CREATE_TITLE)
