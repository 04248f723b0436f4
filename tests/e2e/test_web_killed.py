"""The web server is killed under an open job: the job goes on, and its page is right again without a reload."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import until, visit
from tests.e2e.job_runs import RUN_MS, begin, line, state
from tests.e2e.stack import Stack, answers

LINES = 40
# A server that is killed leaves no process behind that goes on answering at its port.
GONE_WITHIN_MS = 10_000
SCRIPT = f"for n in $(seq 1 {LINES}); do echo line $n; sleep 0.5; done\n"
NOT_RELOADED = "window.notReloaded"


def test_a_job_is_followed_over_the_death_of_the_web_server(page: Page, stack: Stack, tmp_path: Path) -> None:
    job = begin(stack, page, tmp_path, {"10-prints.sh": SCRIPT}, hostname="web-killed")
    visit(page, routes.job(job))
    expect(line(page, "line 3")).to_be_visible(timeout=RUN_MS)
    page.evaluate(f"{NOT_RELOADED} = true")
    stack.children["web"].kill()
    until(page, lambda: not answers(f"{stack.url}/api/live"), "somebody goes on answering", GONE_WITHIN_MS)
    stack.start_web(stack.port)
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    assert page.evaluate(NOT_RELOADED)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
