"""The web server is killed under an open job: the job goes on, and its page recovers without a reload."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import until
from tests.e2e.followed import check_followed, follow
from tests.e2e.stack import Stack, answers

pytestmark = pytest.mark.full

# A killed server must leave no process that still answers at its port.
GONE_WITHIN_MS = 10_000


def test_a_job_is_followed_over_the_death_of_the_web_server(page: Page, stack: Stack, tmp_path: Path) -> None:
    follow(stack, page, tmp_path, "web-killed")
    stack.children["web"].kill()
    until(page, lambda: not answers(f"{stack.url}/api/live"), "somebody goes on answering", GONE_WITHIN_MS)
    stack.start_web(stack.port)
    check_followed(page)
