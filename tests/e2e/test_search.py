"""The search of every page: its hits, its keyboard control, and the pages that it leads to."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from tests.e2e.conftest import NewPage, SignedInAs, visit
from tests.e2e.job_runs import write
from tests.e2e.screens import SIZES, small_screen
from tests.e2e.stack import Stack
from tests.e2e.test_frame import look

WORDS = text.SEARCH_WORDS
STEP = NewEvent(EventType.STEP, Phase.CREATING, 5, "Creating the container")


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def search(page: Page) -> Locator:
    """Open the search with Ctrl-K; return its field."""
    expect(page.get_by_role("button", name=WORDS["verb"], exact=True)).to_be_visible()
    expect(page.locator(".user")).not_to_be_empty()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name=WORDS["label"])
    expect(field).to_be_focused()
    return field


def hit(page: Page, name: str) -> Locator:
    return page.get_by_role("option", name=name)


def test_a_container_is_found_and_led_to_in_the_list(page: Page, stack: Stack) -> None:
    visit(page, routes.TEMPLATES)
    search(page).press_sequentially("staging")
    expect(hit(page, "111 staging-web")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stack.url}{routes.containers(q='111 staging-web')}")
    expect(page.locator('[data-vmid="111"]')).to_be_visible()
    expect(page.locator("[data-vmid]")).to_have_count(1)
    search(page).press_sequentially("proxy-01")
    page.keyboard.press("Enter")
    expect(page.locator('[data-vmid="101"]')).to_be_visible()
    expect(page.locator("[data-vmid]")).to_have_count(1)


def test_arrows_go_through_what_is_found_and_pages_are_found_too(page: Page, stack: Stack) -> None:
    visit(page, routes.DASHBOARD)
    search(page).press_sequentially("template")
    expect(hit(page, text.NAV_TEMPLATES)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(hit(page, text.NAV_TEMPLATES)).to_have_attribute("aria-selected", "false")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stack.url}{routes.TEMPLATES}")
    expect(page.get_by_role("combobox", name=WORDS["label"])).to_be_hidden()


def test_templates_and_jobs_are_found_by_name(page: Page, stack: Stack) -> None:
    visit(page, routes.CONTAINERS)
    hostname = f"found-{secrets.token_hex(3)}"
    job = write(stack, page, 500_000 + secrets.randbelow(99_999), [STEP], hostname=hostname)
    field = search(page)
    field.press_sequentially("nginx-web")
    expect(hit(page, "nginx-web").first).to_be_visible()
    field.fill(hostname)
    hit(page, hostname).click()
    expect(page).to_have_url(f"{stack.url}{routes.job(job)}")


def test_enter_before_the_answer_leads_to_what_was_typed(page: Page, stack: Stack) -> None:
    visit(page, routes.TEMPLATES)
    hostname = f"fast-{secrets.token_hex(3)}"
    job = write(stack, page, 600_000 + secrets.randbelow(99_999), [STEP], hostname=hostname)
    search(page).fill(hostname)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stack.url}{routes.job(job)}")


def test_escape_closes_and_gives_the_focus_back(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    button = page.get_by_role("button", name=WORDS["verb"], exact=True)
    button.focus()
    field = search(page)
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(button).to_be_focused()


def test_a_phone_has_a_button_that_closes_it(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=SIZES["phone"])
    visit(page, routes.TEMPLATES)
    page.get_by_role("button", name=WORDS["verb"], exact=True).click()
    field = page.get_by_role("combobox", name=WORDS["label"])
    expect(field).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name=WORDS["close"]).click()
    expect(field).to_be_hidden()


def test_what_nobody_has_is_said(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    search(page).fill("zzqqxx")
    expect(page.get_by_role("dialog").get_by_text(WORDS["none"])).to_be_visible()


def test_another_user_finds_only_what_he_may_see(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    visit(page, routes.TEMPLATES)
    hostname = f"hidden-{secrets.token_hex(3)}"
    write(stack, page, 700_000 + secrets.randbelow(99_999), [STEP], hostname=hostname)
    viewer = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(viewer, routes.TEMPLATES)
    search(viewer).fill(hostname)
    expect(viewer.get_by_role("dialog").get_by_text(WORDS["none"])).to_be_visible()


@small_screen
def test_the_search_is_accessible_and_fits(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=SIZES[size], color_scheme=scheme)
    visit(page, routes.CONTAINERS)
    page.get_by_role("button", name=WORDS["verb"], exact=True).click()
    # Few names contain both words: the search shows only some of many hits.
    page.get_by_role("combobox", name=WORDS["label"]).fill("ng web")
    expect(hit(page, "nginx-web").first).to_be_visible()
    expect(hit(page, "111 staging-web")).to_be_visible()
    look(page, f"search-{size}-{scheme}")
