"""The web server or the worker is killed under an open job: the job goes on, and its page is right again without a reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
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

Kill = Callable[[Page, Stack], None]


def kill_web(page: Page, stack: Stack) -> None:
    stack.children["web"].kill()
    until(page, lambda: not answers(f"{stack.url}/api/live"), "somebody goes on answering", GONE_WITHIN_MS)
    stack.start_web(stack.port)


def kill_worker(_: Page, stack: Stack) -> None:
    stack.worker.kill()
    stack.start_worker()


@pytest.mark.parametrize("kill", [kill_web, kill_worker], ids=["web server", "worker"])
def test_a_job_is_followed_over_the_death_of_a_process(page: Page, stack: Stack, tmp_path: Path, kill: Kill) -> None:
    job = begin(stack, page, tmp_path, {"10-prints.sh": SCRIPT}, hostname=kill.__name__.replace("_", "-"))
    visit(page, routes.job(job))
    expect(line(page, "line 3")).to_be_visible(timeout=RUN_MS)
    page.evaluate(f"{NOT_RELOADED} = true")
    kill(page, stack)
    expect(line(page, f"line {LINES}")).to_be_visible(timeout=RUN_MS)
    expect(state(page)).to_contain_text("Ready", timeout=RUN_MS)
    assert page.evaluate(NOT_RELOADED)
    page.get_by_label("Search the log").fill("line 1")
    expect(page.locator(".log-found")).to_have_text(f"1 of {1 + 10}")  # line 1 and lines 10 to 19
