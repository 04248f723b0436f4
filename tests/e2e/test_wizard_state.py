"""What the wizard stores, and where: in its address and in the user's draft."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, reload, sign_in, visit
from tests.e2e.stack import Stack
from tests.e2e.wizard import PASSWORD, at, fill, forward, start, step, type_a_container


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def test_back_and_forward_of_the_browser_lead_through_the_steps(page: Page) -> None:
    type_a_container(page, "by-steps")
    forward(page, "scripts")
    page.go_back()
    at(page, "packages")
    page.go_back()
    at(page, "configure")
    expect(page.locator("#hostname")).to_have_value("by-steps")
    expect(page.locator("#password")).to_have_value(PASSWORD)
    page.go_back()
    expect(step(page, "template")).to_be_visible()
    page.go_forward()
    at(page, "configure")
    page.go_forward()
    at(page, "packages")
    forward(page, "scripts")


def test_a_reload_stays_at_the_step_with_what_was_typed(page: Page) -> None:
    type_a_container(page, "reloaded")
    page.locator("#extra-spec").press_sequentially("htop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"{text.REMOVE} htop")).to_be_visible()
    reload(page)
    at(page, "packages")
    expect(page.get_by_role("button", name=f"{text.REMOVE} htop")).to_be_visible()
    wizard.back(page, "configure")
    expect(page.locator("#memory_mib")).to_have_value("777")
    expect(page.locator("#password")).to_have_value("")


def test_a_new_tab_of_the_same_user_goes_on_and_start_again_forgets(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    type_a_container(page, "other-tab")
    forward(page, "scripts")
    page.get_by_role("button", name=f"{text.MOVE_DOWN} 00-check.sh").click()
    expect(page.locator(".script .mono").first).to_have_text("10-greeting.sh")
    address = page.url
    other = new_page(storage_state=signed_in_as())
    visit(other, address)
    at(other, "scripts")
    expect(other.locator(".script .mono").first).to_have_text("10-greeting.sh")
    expect(other.get_by_text(re.compile("^Filled in from your draft"))).to_be_visible()
    other.get_by_role("button", name=text.STEP_NAMES["configure"], exact=True).click()
    at(other, "configure")
    values = {"hostname": "other-tab", "memory_mib": "777", "ssh_keys": wizard.KEY, "password": ""}
    for name, value in values.items():
        expect(other.locator(f"#{name}")).to_have_value(value)
    other.get_by_role("button", name=text.START_OVER).click()
    other.get_by_role("dialog").get_by_role("button", name=text.START_OVER).click()
    expect(step(other, "template")).to_be_visible()
    third = new_page(storage_state=signed_in_as())
    visit(third, routes.CREATE)
    wizard.choose(third, "hello")
    forward(third, "configure")
    expect(third.locator("#memory_mib")).to_have_value("256")
    expect(third.get_by_text(re.compile("^Filled in from your draft"))).to_be_hidden()


def test_a_draft_is_not_shown_to_another_user(page: Page, new_page: NewPage, signed_in_as: SignedInAs) -> None:
    type_a_container(page, "mine-alone")
    other = new_page(storage_state=signed_in_as("operator@pve"))
    visit(other, page.url)
    at(other, "configure")
    expect(other.locator("#hostname")).to_have_value("hello")


def test_a_step_whose_steps_before_are_not_done_is_not_reached_by_its_address(page: Page) -> None:
    visit(page, routes.create(step="review"))
    expect(step(page, "template")).to_be_visible()
    visit(page, routes.create(step="nonsense"))
    expect(step(page, "template")).to_be_visible()


def test_a_container_that_was_asked_for_leaves_no_draft(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    start(page, "hello")
    fill(page, hostname="e2e-drafted")
    wizard.to_review(page)
    at(page, "review")
    wizard.create(page)
    other = new_page(storage_state=signed_in_as())
    visit(other, routes.CREATE)
    wizard.choose(other, "hello")
    forward(other, "configure")
    expect(other.locator("#hostname")).to_have_value("hello")


def test_the_review_shows_the_same_container_as_commands_that_can_be_copied(page: Page, stack: Stack) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(page, "hello")
    page.locator("#password_mode").select_option("given")
    fill(page, hostname="as-command", vmid="4711", password=PASSWORD)
    wizard.to_review(page)
    page.get_by_text(text.AS_PCT, exact=True).click()
    shown = page.locator("#as-pct code")
    expect(shown).to_contain_text("pct create 4711 local:vztmpl/")
    expect(shown).to_contain_text("--hostname as-command")
    expect(shown).to_contain_text('--password "$ROOT_PASSWORD"')
    page.locator("#as-pct").get_by_role("button", name=text.COPY_COMMAND).click()
    expect(page.locator("#as-pct").get_by_role("button", name=text.COPIED)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shown.inner_text()
    page.get_by_text(text.AS_API, exact=True).click()
    host = f"https://127.0.0.1:{stack.sandbox['api_port']}/api2/json/nodes/"
    expect(page.locator("#as-api code")).to_contain_text(host)
    expect(page.locator("#as-api code")).to_contain_text("--data-urlencode vmid=4711")
    assert PASSWORD not in page.content()


def test_a_web_server_of_several_processes_shows_nothing_older_than_was_typed(new_page: NewPage, stack: Stack) -> None:
    """Each reload may reach another process, which has an older state of the tab."""
    try:
        page = new_page(base_url=stack.start_wide_web(workers=2).url)
        sign_in(page, stack)
        start(page, text.NO_TEMPLATE)
        for number in range(8):
            fill(page, hostname=f"typed-{number}")
            page.locator("#cores").focus()
            expect(page.get_by_role("complementary")).to_contain_text(f"typed-{number}")
            reload(page)
            expect(page.locator("#hostname")).to_have_value(f"typed-{number}")
    finally:
        stack.children.pop("wide web").stop()
