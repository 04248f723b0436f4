"""Navigation from one thing's page to another's: the second page shows nothing of the first."""

from __future__ import annotations

import secrets

from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import visit
from tests.e2e.job_runs import line, printed, write
from tests.e2e.stack import Stack

# Records each text that the heading or the content has from now on, visible or not.
RECORD = """() => {
    window.seen = [];
    const look = () => {
        const heading = document.querySelector("h1")?.textContent ?? "";
        window.seen.push(`${location.pathname} ${heading} ${document.querySelector("main")?.textContent ?? ""}`);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def shown_at(page: Page, path: str) -> list[str]:
    """All texts that were recorded at this address."""
    seen: list[str] = page.evaluate("window.seen")
    return [each.removeprefix(path) for each in seen if each.startswith(f"{path} ")]


def test_a_jobs_page_shows_nothing_of_the_job_that_was_open_before(page: Page, stack: Stack) -> None:
    mark = secrets.token_hex(3)
    first, second = f"first-{mark}", f"second-{mark}"
    write(stack, page, 7101, printed(3), hostname=first)
    there = routes.job(write(stack, page, 7102, printed(5), hostname=second))
    visit(page, f"{routes.JOBS}?q={mark}")
    page.get_by_role("link", name=first).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(first)
    expect(line(page, "line 3")).to_be_visible()
    page.go_back()
    page.evaluate(RECORD)
    page.get_by_role("link", name=second).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(second)
    expect(line(page, "line 5")).to_be_visible()
    # The address changes a moment before the list disappears, and the list names both jobs.
    shown = [each for each in shown_at(page, there) if not each.startswith(f" {text.NAV_JOBS} ")]
    assert [each for each in shown if first in each or "7101" in each] == []
    assert any(second in each for each in shown), "the record holds what was shown"


def test_a_templates_page_shows_nothing_of_the_template_that_was_open_before(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    # Only the links of names: the number of containers built from a template also links to its page.
    links = page.locator(f'main [data-line] a[href^="{routes.TEMPLATES}/"]:not([href*="?"])')
    expect(links.nth(1)).to_be_visible()
    first, second = list(dict.fromkeys(links.all_text_contents()))[:2]
    page.get_by_role("link", name=first, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(first)
    page.go_back()
    page.evaluate(RECORD)
    page.get_by_role("link", name=second, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(second)
    shown = shown_at(page, page.evaluate("location.pathname"))
    assert [each for each in shown if each.startswith(f" {first} ")] == []
    assert any(each.startswith(f" {second} ") for each in shown)
