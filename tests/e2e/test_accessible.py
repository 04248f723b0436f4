"""Containers and the wizard: WCAG 2.2 AA by axe, and nothing wider than the screen, in both themes and sizes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, visit
from tests.e2e.screens import SIZES, each_screen

pytestmark = each_screen


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> Page:
    return new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])


@pytest.fixture
def look(page: Page, scheme: str, size: str) -> Look:
    return Look(page, f"{size}-{scheme}")


class Look:
    """Checks what a page shows now, and stores a screenshot."""

    def __init__(self, page: Page, suffix: str) -> None:
        self._page = page
        self._suffix = suffix

    def at(self, name: str) -> None:
        keep_picture(self._page, f"{name}-{self._suffix}")
        assert accessibility_faults(self._page) == []
        fits(self._page)


def test_containers(page: Page, look: Look) -> None:
    visit(page, routes.CONTAINERS)
    expect(page.locator('[data-vmid="103"]')).to_be_visible()
    look.at("containers")
    page.locator('[data-vmid="103"]').get_by_role("button", name="Stop CT 103").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look.at("containers-stop")
    page.get_by_role("dialog").get_by_role("button", name=text.CANCEL).click()
    page.get_by_label(text.GUEST_WORDS["filter"]).fill("nothing has this name")
    expect(page.get_by_text(text.GUEST_WORDS["no_match"])).to_be_visible()
    look.at("containers-no-match")


def test_the_wizard(page: Page, look: Look) -> None:
    visit(page, routes.CREATE)
    expect(wizard.step(page, "template")).to_be_visible()
    look.at("wizard-1-template")
    wizard.choose(page, "python-app")
    wizard.forward(page, "configure")
    page.get_by_text(text.ADVANCED, exact=True).click()
    look.at("wizard-2-configure")
    page.get_by_role("button", name=text.MOUNT_ADD).click()
    page.locator("[id='mounts.0.path']").fill("/srv/data")
    page.get_by_text(text.APPLIANCES, exact=True).click()
    page.locator("#ipv4_mode").select_option("static")
    expect(page.locator(".appliance").first).to_be_visible()
    look.at("wizard-2-choices")
    page.locator("#ipv4_mode").select_option("dhcp")
    wizard.fill(page, hostname="-bad", mtu="1")
    page.locator("#forward").click()
    expect(wizard.fault(page, "mtu")).not_to_be_empty()
    look.at("wizard-2-to-mend")
    wizard.fill(page, hostname="seen", mtu="")
    wizard.forward(page, "packages")
    page.locator("#extra-spec").fill("htop")
    page.get_by_role("button", name=text.ADD).click()
    expect(page.get_by_role("button", name=f"{text.REMOVE} htop")).to_be_visible()
    look.at("wizard-3-packages")
    wizard.forward(page, "scripts")
    page.get_by_text(text.SHOW_SCRIPT).first.click()
    look.at("wizard-4-scripts")
    wizard.forward(page, "review")
    expect(page.locator("#findings")).to_have_text(text.NOTHING_FOUND, timeout=wizard.CHECKED_WITHIN_MS)
    expect(page.locator("#notes")).to_contain_text(re.compile(r"Way in: pct over SSH to pve\d \(root@127\.0\.0\.1\)"))
    look.at("wizard-5-review")


def test_a_review_with_findings(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> None:
    page = new_page(storage_state=signed_in_as("viewer@pve"), color_scheme=scheme, viewport=SIZES[size])
    wizard.start(page, "hello")
    wizard.to_review(page)
    expect(page.locator("#findings")).to_contain_text("VM.Allocate")
    Look(page, f"{size}-{scheme}").at("wizard-5-findings")
