"""A job that prints while something fails, on a page that must be right again by itself."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import visit
from tests.e2e.job_runs import RUN_MS, begin, line, state
from tests.e2e.stack import Stack

LINES = 40
NOT_RELOADED = "window.notReloaded"


def printing(lines: int) -> str:
    """A script that prints so many numbered lines, two a second."""
    return f"for n in $(seq 1 {lines}); do echo line $n; sleep 0.5; done\n"


def mark(page: Page) -> None:
    page.evaluate(f"{NOT_RELOADED} = true")


def check_not_reloaded(page: Page) -> None:
    assert page.evaluate(NOT_RELOADED)


def follow(stack: Stack, page: Page, folder: Path, hostname: str) -> None:
    """A job on its page, when it has begun to print; the page is marked."""
    job = begin(stack, page, folder, {"10-prints.sh": printing(LINES)}, hostname=hostname)
    visit(page, routes.job(job))
    expect(line(page, "line 3")).to_be_visible(timeout=RUN_MS)
    mark(page)


def check_followed(page: Page) -> None:
    """To its end, each line once, without a reload."""
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    check_not_reloaded(page)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
