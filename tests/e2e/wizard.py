"""The wizard as a user goes through it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import visit

CHECKED_WITHIN_MS = 60_000
BUILT_WITHIN_MS = 150_000
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
PASSWORD = "Never-kept-27182"
STEPS = ("template", "configure", "packages", "scripts", "review")


def start(page: Page, template: str) -> None:
    """Open the step configure, with the template's values in its fields."""
    visit(page, routes.CREATE)
    choose(page, template)
    forward(page, "configure")


def choose(page: Page, template: str) -> None:
    radio(page, template).click()
    expect(radio(page, template)).to_be_checked()


def radio(page: Page, template: str) -> Locator:
    return page.get_by_role("radio", name=re.compile(rf"^{re.escape(template)}(?![\w-])"))


def forward(page: Page, arrives_at: str) -> None:
    page.locator("#forward").click()
    at(page, arrives_at)


def back(page: Page, arrives_at: str) -> None:
    """Go back and wait for the step: earlier input would reach the step that is left."""
    page.get_by_role("button", name=text.BACK, exact=True).click()
    at(page, arrives_at)


def step(page: Page, name: str) -> Locator:
    return page.locator(f"#step-{name}")


def fault(page: Page, name: str) -> Locator:
    """The error beside a field."""
    return page.locator(f"#{name}-error")


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.locator(f"#{name}").fill(value)


def holds(page: Page, **values: str) -> None:
    """Wait until the fields have these values."""
    for name, value in values.items():
        expect(page.locator(f"#{name}")).to_have_value(value)


def to_review(page: Page) -> None:
    """Go from the step configure to the review and wait for the checks."""
    for name in STEPS[2:]:
        forward(page, name)
    checked(page)


def checked(page: Page) -> None:
    """Wait for the result of the checks: the review shows ``NOT_CHECKED`` also before they begin."""
    waits = re.compile("|".join(map(re.escape, (text.CHECKING, text.NOT_CHECKED))))
    expect(page.locator("#findings")).not_to_have_text(waits, timeout=CHECKED_WITHIN_MS)


def create(page: Page) -> str:
    """Create from the review; return the address of the job."""
    page.get_by_role("button", name=text.CREATE, exact=True).click(timeout=CHECKED_WITHIN_MS)
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"), timeout=CHECKED_WITHIN_MS)
    return page.url


def vmid_when_ready(page: Page, hostname: str, within_ms: float = BUILT_WITHIN_MS) -> int:
    """Wait on the job's page for the end and return the vmid. A failed job fails the test with the page's text."""
    ended = page.get_by_role("heading", level=2, name=re.compile(r"is ready$|^Failed at"))
    expect(ended).to_be_visible(timeout=within_ms)
    found = re.fullmatch(rf"CT (\d+) {re.escape(hostname)} is ready", ended.inner_text())
    assert found, page.locator("main").inner_text()
    return int(found[1])


def at(page: Page, name: str) -> None:
    """Wait until the step is shown and the address names it."""
    expect(step(page, name)).to_be_visible()
    expect(page).to_have_url(re.compile(rf"[?&]step={name}\b"))


def type_a_container(page: Page, hostname: str) -> None:
    """Fill the step configure and go on to the packages."""
    start(page, "hello")
    page.locator("#password_mode").select_option("given")
    fill(page, hostname=hostname, memory_mib="777", ssh_keys=KEY, password=PASSWORD)
    forward(page, "packages")


def proposed(page: Page) -> Locator:
    """The dialog that lists what another user's preset or link changes."""
    dialog = page.get_by_role("dialog").filter(has=page.locator(".proposed"))
    expect(dialog).to_be_visible()
    return dialog


def accept_link(page: Page) -> None:
    proposed(page).get_by_role("button", name=text.PROPOSED_USE_LINK).click()


def close_dialog(page: Page) -> None:
    """Only in dialogs: notices also have a button with this name."""
    page.get_by_role("dialog").last.get_by_role("button", name=text.CLOSE, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
