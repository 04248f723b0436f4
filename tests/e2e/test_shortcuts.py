"""The list of shortcuts, and the single-key shortcuts that it switches off and on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, reload, visit
from tests.e2e.screens import SIZES, small_screen

WORDS = text.SHORTCUT_WORDS


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def button(page: Page) -> Locator:
    return page.get_by_role("button", name=WORDS["title"], exact=True)


def shortcuts(page: Page) -> Locator:
    return page.get_by_role("dialog", name=WORDS["title"])


def switch(page: Page) -> Locator:
    return shortcuts(page).get_by_role("checkbox", name=WORDS["single"])


def search(page: Page) -> Locator:
    """The field that the key / focuses."""
    return page.locator('main input[type="search"]')


def leaves_the_focus(page: Page, *keys: str) -> None:
    page.locator("main").focus()
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("main")).to_be_focused()
    expect(shortcuts(page)).to_be_hidden()


def test_a_question_mark_and_a_button_open_the_list_and_escape_gives_the_focus_back(page: Page) -> None:
    visit(page, routes.JOBS)
    expect(button(page)).to_be_visible()
    page.keyboard.press("?")
    expect(switch(page)).to_be_checked()
    for group, listed in text.SHORTCUTS.items():
        for _, does, _ in listed:
            expect(shortcuts(page).get_by_role("heading", name=group, exact=True)).to_be_visible()
            expect(shortcuts(page).get_by_text(does, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(shortcuts(page)).to_be_hidden()
    button(page).focus()
    page.keyboard.press("Enter")
    expect(switch(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page)).to_be_focused()


def test_keys_that_work_alone_are_switched_off_by_keyboard_and_stay_off(page: Page) -> None:
    visit(page, routes.CONTAINERS)
    expect(page.locator('[data-vmid="103"]')).to_be_visible()
    page.locator("main").focus()
    page.keyboard.press("/")
    expect(search(page)).to_be_focused()
    expect(search(page)).to_have_attribute("aria-keyshortcuts", "/")
    button(page).press("Enter")
    switch(page).press(" ")
    expect(switch(page)).not_to_be_checked()
    expect(shortcuts(page).locator(".badge", has_text=WORDS["off"])).to_have_count(5)
    page.keyboard.press("Escape")
    expect(search(page)).not_to_have_attribute("aria-keyshortcuts", "/")
    leaves_the_focus(page, "/", "j", "k", "?")
    expect(page.locator('.guest-row[aria-current="true"]')).to_have_count(0)
    reload(page)
    expect(page.locator('[data-vmid="103"]')).to_be_visible()
    leaves_the_focus(page, "/", "j", "?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_what_was_switched_in_one_tab_holds_in_the_others_at_once(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    other = page.context.new_page()
    visit(other, routes.JOBS)
    button(other).click()
    switch(other).uncheck()
    expect(search(page)).not_to_have_attribute("aria-keyshortcuts", "/")
    leaves_the_focus(page, "/", "j", "x", "?")
    switch(other).check()
    expect(search(page)).to_have_attribute("aria-keyshortcuts", "/")
    page.keyboard.press("/")
    expect(search(page)).to_be_focused()


def test_nobody_opens_it_by_typing(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    search(page).press_sequentially("what?")
    expect(search(page)).to_have_value("what?")
    expect(shortcuts(page)).to_be_hidden()


@small_screen
def test_the_list_can_be_read_by_all(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> None:
    page = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
    visit(page, routes.JOBS)
    menu = page.get_by_role("button", name=text.OPEN_NAVIGATION)
    if size == "phone":
        menu.click()
    button(page).click()
    switch(page).uncheck()
    keep_picture(page, f"shortcuts-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)
    shortcuts(page).get_by_role("button", name=text.CLOSE).click()
    expect(shortcuts(page)).to_be_hidden()
    expect(menu if size == "phone" else button(page)).to_be_focused()
