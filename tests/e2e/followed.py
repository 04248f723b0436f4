"""A job that prints while a server fails, on a page that must recover without a reload."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import visit
from tests.e2e.job_runs import GATE, RUN_MS, begin, let_go, line, state, vmid_of
from tests.e2e.stack import Stack

LINES = 40
# The script waits after this line, so that more lines follow the failure even if the page is slow.
BEGUN = "line 3"
NOT_RELOADED = "window.notReloaded"


def printing(lines: int) -> str:
    """A script that prints ``lines`` numbered lines, two a second. It waits at ``BEGUN`` for ``let_go``."""
    wait = f'[ "line $n" != "{BEGUN}" ] || {GATE}'
    return f"for n in $(seq 1 {lines}); do\necho line $n\n{wait}sleep 0.5\ndone\n"


def mark(page: Page) -> None:
    page.evaluate(f"{NOT_RELOADED} = true")


def check_not_reloaded(page: Page) -> None:
    assert page.evaluate(NOT_RELOADED)


def follow(stack: Stack, page: Page, folder: Path, hostname: str) -> None:
    """Open the page of a job that has begun to print, mark the page, and let the job go on."""
    job = begin(stack, page, folder, {"10-prints.sh": printing(LINES)}, hostname=hostname)
    visit(page, routes.job(job))
    expect(line(page, BEGUN)).to_be_visible(timeout=RUN_MS)
    mark(page)
    let_go(stack, vmid_of(stack, page, job))


def check_followed(page: Page) -> None:
    """Wait for the job's end; check that each line appears once and that the page did not reload."""
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    check_not_reloaded(page)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
