"""PVE's API and the node's SSH go silent under an open job: it goes on when they speak again, and its page is right by itself."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import until, visit
from tests.e2e.job_runs import RUN_MS, begin, line, state
from tests.e2e.stack import Stack

LINES = 40
SCRIPT = f"for n in $(seq 1 {LINES}); do echo line $n; sleep 0.5; done\n"
NOT_RELOADED = "window.notReloaded"
RECONNECTS = "guest connection lost"


def test_a_job_is_followed_over_the_silence_of_its_node(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-prints.sh": SCRIPT}, hostname="silent-node")
    visit(page, routes.job(job))
    expect(line(page, "line 3")).to_be_visible(timeout=RUN_MS)
    page.evaluate(f"{NOT_RELOADED} = true")
    tries = stack.worker.said().count(RECONNECTS)
    stack.children["sandbox"].pause()
    try:
        until(page, lambda: stack.worker.said().count(RECONNECTS) > tries, "the worker does not try again", RUN_MS)
        expect(state(page)).not_to_contain_text("Failed")
    finally:
        stack.children["sandbox"].resume()
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    assert page.evaluate(NOT_RELOADED)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
