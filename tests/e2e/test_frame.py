"""The frame of every page: the running jobs and tasks, and the switch to another endpoint."""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from pve_sandbox.node import SandboxNode
from tests.e2e.conftest import (
    NewPage,
    SignedInAs,
    accessibility_faults,
    fill_sign_in,
    fits,
    keep_picture,
    until,
    visit,
)
from tests.e2e.job_runs import GATE, RUN_MS, begin, let_go, vmid_of
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.screens import SIZES, small_screen
from tests.e2e.stack import Stack

WORDS = text.RUNNING_WORDS
HOLDS_ITS_WORDS = "one => one.querySelector('.grow').offsetHeight <= one.clientHeight"


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[OtherNode]:
    """Another endpoint with some containers, registered while the test runs."""
    with other_node(stack, tmp_path / "node", f"elsewhere-{secrets.token_hex(3)}", 3) as node:
        yield node


def running_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^\d+ ?running"))


def drawer(page: Page) -> Locator:
    return page.get_by_role("dialog", name=WORDS["title"])


def entry(page: Page, title: str) -> Locator:
    return drawer(page).locator(".running-entry", has_text=title)


def stop_in_pve(node: SandboxNode, vmid: int) -> None:
    """Stop as a user of PVE, so that the task belongs to no job."""
    login = {"username": "root@pam", "password": node.demo.passwords()["root@pam"]}
    trust = ssl.create_default_context(cafile=str(node.ca_file))
    at = next(guest.node for guest in node.api.cts if guest.vmid == vmid)
    with httpx.Client(base_url=f"https://127.0.0.1:{node.api_port}/api2/json", verify=trust, trust_env=False) as client:
        ticket = client.post("/access/ticket", data=login).raise_for_status().json()["data"]
        client.cookies.set("PVEAuthCookie", ticket["ticket"])
        headers = {"CSRFPreventionToken": ticket["CSRFPreventionToken"]}
        client.post(f"/nodes/{at}/lxc/{vmid}/status/stop", headers=headers).raise_for_status()


def look(page: Page, name: str) -> None:
    keep_picture(page, name)
    assert accessibility_faults(page) == []
    fits(page)


def test_a_job_is_listed_while_it_runs_and_leads_to_its_page(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, tmp_path: Path
) -> None:
    visit(page, routes.TEMPLATES)
    other = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(other, routes.DASHBOARD)
    hostname = f"frame-{secrets.token_hex(3)}"
    job = begin(stack, page, tmp_path, {"10-waits.sh": f"echo waiting\n{GATE}"}, hostname=hostname)
    running_button(page).click()
    expect(entry(page, hostname)).to_contain_text("syncing", timeout=RUN_MS)
    expect(entry(page, hostname)).to_contain_text("root@pam")
    expect(entry(page, hostname).get_by_role("progressbar")).to_be_visible()
    expect(drawer(page).get_by_text("vzcreate")).to_have_count(0)
    running_button(other).click()
    expect(entry(other, hostname)).to_be_visible(timeout=RUN_MS)
    entry(page, hostname).get_by_role("link", name=hostname).click()
    expect(page).to_have_url(f"{stack.url}{routes.job(job)}")
    expect(drawer(page)).to_be_hidden()
    let_go(stack, vmid_of(stack, page, job))
    expect(entry(other, hostname)).to_have_count(0, timeout=RUN_MS)


def test_the_drawer_is_closed_by_keyboard_and_gives_the_focus_back(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    expect(running_button(page)).to_be_visible()
    running_button(page).focus()
    page.keyboard.press("Enter")
    expect(drawer(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()
    expect(running_button(page)).to_be_focused()


@small_screen
def test_a_task_of_pve_is_listed_until_it_ends(new_page: NewPage, elsewhere: OtherNode, scheme: str, size: str) -> None:
    page = new_page(viewport=SIZES[size], color_scheme=scheme)
    sign_in_at(page, elsewhere.name)
    expect(running_button(page)).to_have_text(re.compile("^0"))
    running_button(page).click()
    expect(drawer(page)).to_contain_text(WORDS["none"])
    look(page, f"running-none-{size}-{scheme}")
    page.keyboard.press("Escape")
    elsewhere.let(lambda node: node.hang_task("vzstop"))
    stop_in_pve(elsewhere.node, 101)
    expect(running_button(page)).to_have_text(re.compile("^1"))
    running_button(page).click()
    task = entry(page, "CT 101 proxy-01")
    expect(task).to_contain_text("stopping")
    expect(task).to_contain_text(re.compile(r"PVE vzstop · pve\d · root@pam"))
    look(page, f"running-task-{size}-{scheme}")
    task.get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"{routes.CONTAINERS}\?q=101"))


def test_with_one_endpoint_there_is_its_name_and_no_menu(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    expect(page.locator(".sidebar .endpoint-name")).not_to_be_empty()
    expect(page.get_by_role("button", name=text.ENDPOINT)).to_have_count(0)


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1000, "dark"),
        pytest.param(390, "dark", marks=pytest.mark.full),
        pytest.param(1000, "light", marks=pytest.mark.full),
        pytest.param(1440, "light", marks=pytest.mark.full),
        pytest.param(1440, "dark", marks=pytest.mark.full),
    ],
)
def test_another_endpoint_is_chosen_in_the_sidebar(
    new_page: NewPage, signed_in_as: SignedInAs, elsewhere: OtherNode, scheme: str, width: int
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport={"width": width, "height": 844}, color_scheme=scheme)
    visit(page, routes.TEMPLATES)
    expect(page.get_by_role("heading", level=1)).to_have_text(text.NAV_TEMPLATES)
    if width < 700:
        page.get_by_role("button", name=text.OPEN_NAVIGATION).click()
    menu = page.locator(".endpoint-button")
    until(page, lambda: menu.evaluate(HOLDS_ITS_WORDS), "its words stand out of it")
    menu.click()
    expect(page.get_by_role("link", name=elsewhere.name)).to_be_visible()
    look(page, f"endpoints-{width}-{scheme}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name=elsewhere.name)).to_be_hidden()
    expect(menu).to_be_focused()


def test_the_session_lasts_until_the_sign_in_at_another_endpoint(
    new_page: NewPage, stack: Stack, elsewhere: OtherNode
) -> None:
    fresh = new_page()
    visit(fresh, routes.TEMPLATES)
    fill_sign_in(fresh, "operator@pve", stack.users["operator@pve"])
    expect(fresh.locator(".user")).to_have_text("operator@pve")
    fresh.locator(".endpoint-button").click()
    fresh.get_by_role("link", name=elsewhere.name).click()
    chosen = fresh.get_by_label(text.ENDPOINT).locator("option:checked")
    expect(chosen).to_have_text(elsewhere.name)
    expect(fresh.get_by_text("You are signed in as operator@pve")).to_be_visible()
    assert accessibility_faults(fresh) == []
    second = fresh.context.new_page()
    visit(second, routes.TEMPLATES)
    expect(second.locator(".user")).to_have_text("operator@pve")
    fill_sign_in(fresh, "root@pam", "sandbox")
    expect(fresh.locator(".sidebar .endpoint-name").first).to_have_text(elsewhere.name)
    expect(fresh.locator(".user")).to_have_text("root@pam")
    # Tabs of the old session leave it: they show the sign-in form, or the new session if the browser already had it.
    expect(second.get_by_text("operator@pve")).to_have_count(0)
    visit(second, routes.TEMPLATES)
    expect(second.locator(".user")).to_have_text("root@pam")
