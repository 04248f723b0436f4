"""How much a browser with an empty cache downloads, as Chromium counts it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import NewPage, SignedInAs, visit
from tests.unit.services.monitor.test_rows import LIST_BYTES

pytestmark = pytest.mark.full

# The budget holds for a list of 5,000 containers; the tests' list has a few, so ``LIST_BYTES`` is subtracted.
FIRST_LOAD_BYTES = 350_000 - LIST_BYTES
SIGN_IN_BYTES = 20_000
# Marks patches. They are not part of the load, and there are more of them if it takes longer.
CHANGES = '"prev":'


def weigh(page: Page) -> list[int]:
    """A list that grows by the bytes of each response and each websocket frame."""
    seen: list[int] = []
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})  # the tests share one browser

    def answered(event: dict[str, Any]) -> None:
        seen.append(int(event["encodedDataLength"]))

    def pushed(event: dict[str, Any]) -> None:
        payload = event["response"]["payloadData"]
        if CHANGES not in payload:
            seen.append(len(payload.encode()))

    wire.on("Network.loadingFinished", answered)
    wire.on("Network.webSocketFrameReceived", pushed)
    return seen


@pytest.mark.parametrize("path", [routes.DASHBOARD, routes.CONTAINERS])
def test_a_first_load_is_light(new_page: NewPage, signed_in_as: SignedInAs, path: str) -> None:
    page = new_page(storage_state=signed_in_as())
    seen = weigh(page)
    visit(page, path)
    expect(page.locator(".user")).to_have_text("root@pam")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert 100_000 < sum(seen) <= FIRST_LOAD_BYTES


def test_the_sign_in_page_is_lighter_still(fresh_page: Page) -> None:
    seen = weigh(fresh_page)
    visit(fresh_page, routes.sign_in("/"))
    fresh_page.wait_for_load_state("networkidle")
    assert 1_000 < sum(seen) <= SIGN_IN_BYTES
