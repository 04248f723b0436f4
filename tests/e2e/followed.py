"""A job that prints while something fails, on a page that must be right again by itself."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import visit
from tests.e2e.job_runs import GATE, RUN_MS, begin, let_go, line, state, vmid_of
from tests.e2e.stack import Stack

LINES = 40
# With it a script waits to be let go: however slow the page is, there is more to come when something fails.
BEGUN = "line 3"
NOT_RELOADED = "window.notReloaded"


def printing(lines: int) -> str:
    """A script that prints so many numbered lines, two a second, once it was let go at ``BEGUN``."""
    wait = f'[ "line $n" != "{BEGUN}" ] || {GATE}'
    return f"for n in $(seq 1 {lines}); do\necho line $n\n{wait}sleep 0.5\ndone\n"


def mark(page: Page) -> None:
    page.evaluate(f"{NOT_RELOADED} = true")


def check_not_reloaded(page: Page) -> None:
    assert page.evaluate(NOT_RELOADED)


def follow(stack: Stack, page: Page, folder: Path, hostname: str) -> None:
    """A job on its page, when it has begun to print and goes on; the page is marked."""
    job = begin(stack, page, folder, {"10-prints.sh": printing(LINES)}, hostname=hostname)
    visit(page, routes.job(job))
    expect(line(page, BEGUN)).to_be_visible(timeout=RUN_MS)
    mark(page)
    let_go(stack, vmid_of(stack, page, job))


def check_followed(page: Page) -> None:
    """To its end, each line once, without a reload."""
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    check_not_reloaded(page)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
