"""PVE's API and the node's SSH stop answering under an open job: both job and page recover by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import until
from tests.e2e.followed import check_followed, follow
from tests.e2e.job_runs import RUN_MS, state
from tests.e2e.stack import Stack

pytestmark = pytest.mark.full

RECONNECTS = "guest connection lost"


def test_a_job_is_followed_over_the_silence_of_its_node(page: Page, stack: Stack, tmp_path: Path) -> None:
    follow(stack, page, tmp_path, "silent-node")
    tries = stack.worker.said().count(RECONNECTS)
    stack.children["sandbox"].pause()
    try:
        until(page, lambda: stack.worker.said().count(RECONNECTS) > tries, "the worker does not try again", RUN_MS)
        expect(state(page)).not_to_contain_text("Failed")
    finally:
        stack.children["sandbox"].resume()
    check_followed(page)
