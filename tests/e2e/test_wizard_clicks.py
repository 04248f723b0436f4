"""The wizard in few clicks: a template found by typing, a link copied, findings and commands of several containers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture, visit

RUN_MS = 60_000


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    opened = new_page(storage_state=signed_in_as())
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return opened


def test_a_template_is_found_by_typing(page: Page) -> None:
    visit(page, routes.CREATE)
    find = page.get_by_label(text.FIND_TEMPLATE)
    find.fill("DEBIAN postgresql")
    cards = page.locator(".template-card").locator("visible=true")
    expect(cards).to_have_count(1)
    keep_picture(page, "wizard-1-found")
    assert accessibility_faults(page) == []
    find.press("Enter")
    expect(wizard.step(page, "template")).to_be_visible()
    find.fill("nothing is called so")
    expect(page.get_by_text(text.NO_TEMPLATE_MATCHES)).to_be_visible()
    expect(cards).to_have_count(0)
    find.fill("")
    expect(page.get_by_text(text.NO_TEMPLATE_MATCHES)).to_be_hidden()
    wizard.choose(page, "postgresql")


def test_one_click_copies_the_link(page: Page) -> None:
    wizard.start(page, "hello")
    page.get_by_role("button", name=text.SHARE_LINK).click()
    expect(page.get_by_role("dialog").get_by_role("button", name=text.COPIED)).to_be_visible()
    link = page.locator("#shared-link").input_value()
    assert link
    assert page.evaluate("navigator.clipboard.readText()") == link


def test_several_are_shown_as_commands_and_a_finding_leads_to_their_range(page: Page) -> None:
    wizard.start(page, text.NO_TEMPLATE)
    wizard.fill(page, hostname_pattern="shown-{01..03}", disk_gib="2", memory_mib="256")
    page.locator("#ipv4_mode").select_option("static")
    wizard.fill(page, ipv4_range="10.95.0.10-10.95.0.29/24", ipv4_gateway="10.95.0.10")
    for name in wizard.STEPS[2:]:
        wizard.forward(page, name)
    page.get_by_text(text.AS_PCT).click(timeout=RUN_MS)
    shown = page.locator("#as-pct code")
    expect(shown).to_contain_text(re.compile(r"shown-01[\s\S]*10\.95\.0\.11/24[\s\S]*shown-03[\s\S]*10\.95\.0\.13/24"))
    page.get_by_text(text.AS_API).click()
    expect(page.locator("#as-api code")).to_contain_text("hostname=shown-02")
    keep_picture(page, "wizard-several-commands")
    assert accessibility_faults(page) == []
    finding = page.locator(".finding", has_text="is not in")
    finding.get_by_role("button", name=re.compile(text.FIELD_LABELS["ipv4_range"])).click()
    expect(page.locator("#ipv4_range")).to_be_focused()
